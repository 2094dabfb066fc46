"""Jobs find the Python that has the requirements, or the workflow says why not."""

import sys
from pathlib import Path

import pytest

from vlselect.config.job_python import path_for_jobs
from vlselect.core.errors import InputError

OWN = str(Path(sys.executable).parent)
ABSENT = "no-such-distribution"


def python(folder: Path, code: int) -> str:
    """Write a `python` that ends with this code; return its folder."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    return str(folder)


def test_the_workflows_own_comes_first_without_activating(tmp_path):
    other = python(tmp_path, 0)
    assert path_for_jobs(other) == f"{OWN}:{other}"
    assert path_for_jobs(f"{OWN}:{other}") == f"{OWN}:{other}"
    assert path_for_jobs("").startswith(OWN)


def test_one_without_the_requirements_is_left_alone(tmp_path):
    path = python(tmp_path, 0)
    assert path_for_jobs(path, required=ABSENT) == path


def test_no_python_is_said_with_the_cure(tmp_path):
    with pytest.raises(InputError, match=r"none on PATH. Activate .*\.venv/bin/activate"):
        path_for_jobs(str(tmp_path), required=ABSENT)


def test_one_that_is_too_old_is_named(tmp_path):
    path = python(tmp_path, 1)
    with pytest.raises(InputError, match=f"{path}/python does not run or is older than 3.11"):
        path_for_jobs(path, required=ABSENT)
