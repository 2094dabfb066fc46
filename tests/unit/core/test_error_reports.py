"""How a script starts and fails: a message in its log, or where the unforeseen happened."""

import subprocess
import sys

from running import ROOT

START = "from vlselect.core import log; log.start(); "


def fail(code: str) -> list[str]:
    """Lines on stderr of a program of ours that fails."""
    done = subprocess.run(
        [sys.executable, "-c", START + code],
        cwd=ROOT / "scripts",
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()


def test_garbage_is_collected_as_usual_once_imports_are_done():
    code = "import gc; print(*gc.get_threshold()); import vlselect; print(gc.get_threshold()[0]); "
    code += "from vlselect.core import log; log.start(); print(*gc.get_threshold())"
    done = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT / "scripts", text=True)
    usual, importing, working = done.splitlines()
    assert int(importing) > 10 * int(usual.split()[0]) and working == usual


def test_an_error_of_our_own_is_its_message():
    code = (
        "from vlselect.pool.image_roots import ImageRoots; ImageRoots({None: 'nowhere'}).require()"
    )
    (line,) = fail(code)
    assert line.endswith("ERROR vlselect.core.log: the image root 'nowhere' is not a folder")


def test_what_was_not_foreseen_shows_where_it_happened():
    for code in (
        "from vlselect.core import store; store.write_json({}, None)",  # a mistake in a program
        "from vlselect.core import store; store.write_json({}, '/dev/null/x.json')",  # the system's
        "import json; json.loads('{')",  # raised by somebody else
    ):
        lines = fail(code)
        assert lines[0] == "Traceback (most recent call last):", code
