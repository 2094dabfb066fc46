"""Run Snakemake on a config in a separate folder, like a user on the command line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from warm_python import warm_python

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/workflow"  # where the tests' configs are
REAL_VQA = ROOT.parent / "shared/data/real_vqa"


def snakemake(
    directory: Path,
    config: Path | None,
    *arguments: str,
    root: Path = ROOT,
    warm: bool | None = None,
    python: str | None = None,
    **environment: str,
) -> subprocess.CompletedProcess:
    """Run the workflow of `root` in `directory`; its output is text, stderr in stdout.

    Without a config it takes the embedded default. Snakemake and its jobs use `python`, by default
    the Python that runs the tests: if `warm`, in processes that have imported its libraries. They
    have where the environment is as it is, since libraries may read it when they are imported.
    """
    warm = not environment if warm is None else warm
    python = python or (warm_python() if warm else sys.executable)
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    command = [python, "-m", "snakemake", "--snakefile", root / "Snakefile"]
    command += ["--directory", directory, "--workflow-profile", root / "profiles/default"]
    command += ["--configfile", config] if config else []
    return subprocess.run(
        [*map(str, command), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", **environment},
        check=False,
    )


def copy_program(root: Path) -> Path:
    """Copy the program, without tests and results, to a new folder where it may be edited."""
    unneeded = shutil.ignore_patterns(".*", "results", "tests", "__pycache__")
    return shutil.copytree(ROOT, root, ignore=unneeded)


def succeeded(done: subprocess.CompletedProcess) -> str:
    """Check that a run succeeded and return its output."""
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def jobs(output: str) -> set[str]:
    """Return the rules that a run did, or a dry run (-n) would do, from its log lines."""
    lines = (line.split() for line in output.splitlines())
    return {words[1].rstrip(":") for words in lines if words[:1] in (["rule"], ["localrule"])}


def stand_in(folder: Path, config: dict) -> None:
    """Make an empty file or folder for every path that a config expects, for a dry run.

    The tables of a cached run are part of the project; the demo makes what it reads.
    """
    if config.get("cached"):
        tables = f"results/{config['run']}/tables"
        shutil.copytree(ROOT / tables, folder / tables)
        return
    if "digits" in config:
        return
    paths = {config["pool"]["records"]}
    for task in config.get("tasks", {}).values():
        paths |= {task[split] for split in ("validation", "test") if split in task}
        paths |= {
            text for text in texts(task.get("build")) if re.fullmatch(r"[\w.-]+/[\w./-]+", text)
        }
    models = config.get("models", {}).values()
    paths |= {m["path"] for m in models if not m.get("revision")}
    for path in map(folder.joinpath, sorted(paths)):
        if path.suffix in {".json", ".tsv", ".jsonl"}:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True, exist_ok=True)


def texts(value: object) -> list[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in texts(part)]
