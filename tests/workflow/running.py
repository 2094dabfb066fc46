"""Run Snakemake on a config in a folder of its own, as a user would from the command line."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


def snakemake(
    directory: Path, config: Path, *arguments: str, root: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess:
    """Run the workflow of `root` in `directory`; its output is text, stderr in stdout."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")),
            *("--directory", str(directory), "--configfile", str(config)),
            *("--workflow-profile", str(root / "profiles/default"), *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", **environment},
        check=False,
    )


def succeeded(done: subprocess.CompletedProcess) -> str:
    """The output of a run that has to have succeeded."""
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def jobs(output: str) -> set[str]:
    """Rules that a run or a dry run (-n) had to do, by the lines that name them."""
    lines = (line.split() for line in output.splitlines())
    return {words[1].rstrip(":") for words in lines if words[:1] in (["rule"], ["localrule"])}
