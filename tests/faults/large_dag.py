"""Snakemake itself on thousands of jobs, each of which only makes its outputs.

The config is the tests' mini.yaml with more methods, ratios and seeds: 16 seeds make 5,036 jobs.
Rules, their inputs and their functions are the real ones; of the scripts, the imports are kept,
which are inputs.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from mini_input import make_input
from running import HERE, copy_program
from running_jobs import POLL, Snakemake

METHODS = ("random", "icons", "coincide", "el2n", "perplexity")
RATIOS = [round(0.02 * i, 2) for i in range(1, 21)]
SHARDS = 6
NO_WORK = """\
import re
import sys
from pathlib import Path

for path in map(Path, sys.argv):
    if path.parts[0] == "results" and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if re.fullmatch("[.][a-z]+", path.suffix) else path.mkdir()
    for task in ("alpha", "beta") if path.parts[2:3] == ("benchmarks",) and path.is_dir() else ():
        Path(path, f"{task}.parquet").touch()
        Path(path, f"{task}.json").touch()
raise SystemExit(0)
"""


class LargeDag:
    """A folder with the input of a large run, and a copy of the program whose jobs do no work."""

    def __init__(self, folder: Path, seeds: int):
        make_input(folder)
        self.folder, self.program = folder, copy_program(folder / "program")
        for script in (self.program / "scripts").glob("*.py"):
            script.write_text(NO_WORK + script.read_text())
        config = yaml.safe_load((HERE / "mini.yaml").read_text())
        settings = {"coincide": {"n_clusters": 6}}
        models = {name: {"model": "target"} for name in ("coincide", "el2n", "perplexity")}
        config["methods"] = {
            name: models.get(name, {}) | settings.get(name, {}) for name in METHODS
        }
        config["pool"]["shards"] = SHARDS
        config |= {"ratios": RATIOS, "seeds": [*range(seeds)]}
        config["experiments"] = {"main": {"methods": [*METHODS]}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    @contextmanager
    def begun(self, *arguments: str) -> Iterator[Snakemake]:
        """Yield a Snakemake on everything; what it says at the end would read what no job wrote."""
        arguments = (*arguments, "--no-hooks", "--", "all")
        config = self.folder / "config.yaml"
        with Snakemake(self.program, self.folder, config, arguments) as snakemake:
            yield snakemake

    def measure(self) -> Iterator[str]:
        """Yield in words what a dry run, the start of a run, its jobs and a repetition take."""
        with self.begun("-n", "--quiet", "rules") as snakemake:
            yield f"dry run: {spent(snakemake)}"
            assert snakemake.end() == 0, snakemake.said()[-3000:]
            (jobs,) = set(re.findall(r"^total +(\d+)", snakemake.said(), re.MULTILINE))
            yield f"jobs: {jobs}"
        with self.begun("--cores", "2") as snakemake:
            yield f"until the first job: {spent(snakemake, snakemake.jobs)}"
            yield f"from then until the end: {spent(snakemake)}"
            assert snakemake.end() == 0, snakemake.said()[-3000:]
        with self.begun("--cores", "2") as snakemake:
            yield f"again, with nothing to do: {spent(snakemake)}"
            assert snakemake.end() == 0, snakemake.said()[-3000:]
            assert "Nothing to be done" in snakemake.said()


def spent(snakemake: Snakemake, until: Callable[[], object] = lambda: False) -> str:
    """Wait for Snakemake's end or until then; return its own time meanwhile, and its memory."""
    begin, before = time.monotonic(), processor_time(snakemake)
    while snakemake.alive() and not until():
        with contextlib.suppress(OSError, IndexError):
            after, memory = processor_time(snakemake), most_memory(snakemake)
        time.sleep(POLL)
    seconds = time.monotonic() - begin
    return f"{seconds:.0f} s, of a processor {after - before:.0f} s, {memory >> 10} MB"


def processor_time(snakemake: Snakemake) -> float:
    """Return the seconds of a processor that Snakemake itself has used, without its jobs."""
    text = Path(f"/proc/{snakemake.process.pid}/stat").read_text()
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def most_memory(snakemake: Snakemake) -> int:
    """Return the most memory that Snakemake held so far, in KiB."""
    text = Path(f"/proc/{snakemake.process.pid}/status").read_text()
    return int(re.findall(r"^VmHWM:\s+(\d+)", text, re.MULTILINE)[0])
