"""No garbage is looked for while an entry imports; from `log.start` on, and elsewhere, it is."""

import gc
import shutil
import subprocess
import sys

import pytest
from running import ROOT

ENTRY = """\
import gc
import multiprocessing

import vlselect.core.startup

imported = gc.isenabled()


def in_worker(_):
    return imported, gc.isenabled()


if __name__ == "__main__":
    from vlselect.core import log

    log.start()
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        print(imported, gc.isenabled(), *pool.map(in_worker, [0])[0])
"""


def states(scripts, folder, method):
    """Return whether it is looked for: in an entry's imports and later on, and in its worker's."""
    path = folder / f"begins_by_{method}.py"
    path.write_text(ENTRY.format(method=method), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, path], env={"PYTHONPATH": scripts}, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return [word == "True" for word in done.stdout.split()]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_only_the_imports_of_an_entry_go_without(tmp_path, method):
    scripts = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts/vlselect/core", scripts / "vlselect/core")
    entry = states(scripts, scripts, method)
    assert entry[:2] == [False, True] and entry[3]
    assert entry[2] == (method != "fork")  # a forked worker imports nothing itself
    assert all(states(scripts, tmp_path, method))  # no entry


def test_a_program_that_imports_entries_is_left_alone():
    assert gc.isenabled()
