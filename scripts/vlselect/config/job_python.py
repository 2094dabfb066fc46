"""Which Python jobs find as `python`: that of the environment with the requirements."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vlselect.core.errors import InputError

OLDEST = (3, 11)
CURE = (
    "Activate the environment that envs/requirements.txt was installed in "
    "(`. .venv/bin/activate`), or use conda's with `--sdm conda`"
)


def set_path() -> None:
    """Let jobs find that Python; errors are those of `path_for_jobs`."""
    os.environ["PATH"] = path_for_jobs(os.environ.get("PATH", ""))


def path_for_jobs(path: str, executable: str = sys.executable, required: str = "torch") -> str:
    """Return PATH with the Python that runs the workflow first, if it has what jobs import.

    So `.venv/bin/snakemake` works without activating. Where Snakemake is in an environment of its
    own, which lacks `required`, jobs take what PATH has.

    Raises
    ------
    InputError
        If PATH then has no Python, or one that is too old.
    """
    own = Path(executable).parent
    try:
        version(required)
    except PackageNotFoundError:
        own = None
    if own and (own / "python").exists():
        first = path.split(os.pathsep)[0]
        return path if first == str(own) else os.pathsep.join([str(own), path])
    found = shutil.which("python", path=path)
    if found is None:
        raise InputError(f"jobs call `python`, and there is none on PATH. {CURE}")
    question = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    if subprocess.run([found, "-c", question], check=False, capture_output=True).returncode:
        oldest = ".".join(map(str, OLDEST))
        raise InputError(
            f"jobs call `python`, and {found} does not run or is older than {oldest}. {CURE}"
        )
    return path
