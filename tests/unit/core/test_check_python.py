"""Environments of a wrong Python are named at once, with the cure."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT

OLD = """#!/bin/sh
[ "$1" = --version ] && echo Python 3.9.1 && exit
exec "{python}" -c "import sys; sys.version_info = (3, 9, 1); $2"
"""
CHANGED = """#!/bin/sh
case "$2" in *sysconfig*) echo /no/such/python3.12/site-packages ;; *) exec "{python}" "$@" ;; esac
"""


def write(path: Path, text: str) -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o755)
    return path


@pytest.fixture
def project(tmp_path):
    """A clone without an environment."""
    (tmp_path / "envs").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    for path in (ROOT / "envs").glob("*[.s][ht]*"):
        if path.is_file():
            shutil.copy(path, tmp_path / "envs")
    return tmp_path


def demo(project, python):
    """Return what `make demo` says when it stops before it does anything."""
    done = subprocess.run(
        ["make", "demo", f"PYTHON={python}"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode and "venv .venv" not in done.stdout and "pip" not in done.stdout
    return done.stderr


def test_a_python_that_is_too_old(project):
    said = demo(project, write(project / "old/python3", OLD))
    assert "is Python 3.9.1, and vlselect needs Python 3.11 or later: add PYTHON=" in said
    assert not (project / ".venv").exists()


def test_a_python_that_is_not_there(project):
    assert "vlselect needs Python 3.11 or later" in demo(project, "no-such-python")


@pytest.mark.parametrize("kind", ["old", "changed", "gone", "moved"])
def test_an_environment_of_another_python(project, kind):
    python = project / ".venv/bin/python"
    text = {"old": OLD, "changed": CHANGED, "moved": '#!/bin/sh\nexec "{python}" "$@"\n'}
    if kind == "gone":
        python.parent.mkdir(parents=True)
        python.symlink_to("/no/such/python3.11")
    else:
        write(python, text[kind])
    write(project / ".venv/bin/pip", "#!/no/such/.venv/bin/python\n")
    (project / ".venv/.installed").touch()  # as it was when it was made
    said = demo(project, sys.executable)
    assert ".venv was moved" in said if kind == "moved" else "gone, changed or older" in said
    assert "rm -r .venv" in said


def test_a_good_one_passes():
    done = subprocess.run(["sh", ROOT / "envs/check_python.sh", sys.executable, "/no/such"])
    assert done.returncode == 0
    done = subprocess.run(["sh", ROOT / "envs/check_python.sh", "python3", Path(sys.prefix)])
    assert done.returncode == 0
