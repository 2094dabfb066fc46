"""Measure the overhead of a finished run's jobs: interpreter, imports, model, Snakemake.

For each rule, the jobs and their seconds are the run's own. The overhead of such a job is measured
now: in turns, in fresh processes, its script is imported and its model loaded; medians of the
rounds. The run's machine may have been busier: `seen` is the time in the run from a job's start
until its log says that the model is loaded, and all times are scaled to that pace. The last rows
are dry runs, of the run's config and of a large one, that for LLaVA-665K.
"""

import argparse
import json
import logging
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import plot_overhead
from clocks import write_table
from finished_run import Job, Run, read_run
from running import ROOT, snakemake, stand_in, succeeded

from vlselect.config.yaml_files import read_yaml
from vlselect.core import log

logger = logging.getLogger(__name__)

RESULTS = ROOT / "results/performance"
PARTS = ("start", "imports", "load")
LARGE = ROOT / "configs/llava_665k.yaml"
Start = tuple[tuple[str, ...], tuple[str, str] | None]  # modules, and loader and path of a model


def start_of(job: Job) -> Start:
    """Return what a job does before its work."""
    return job.modules, job.model


def begin(run: Run, start: Start) -> dict[str, float]:
    """Return the seconds of one start, as Snakemake makes it: bash, Python, imports, model.

    `start` is what is neither imports nor load: the shell, the interpreter and its exit.
    """
    modules, model = start
    program = [sys.executable, Path(__file__).with_name("begin_job.py"), *modules]
    program += ["--load", *model] if model else []
    environment = {"PYTHONPATH": str(run.scripts), "PYTHONDONTWRITEBYTECODE": "1"}
    clock = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", 'set -euo pipefail; "$@"', "bash", *map(str, program)],
        cwd=run.folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    whole = time.perf_counter() - clock
    parts = json.loads(done.stdout)
    return {"start": whole - parts["imports"] - parts["load"], **parts}


def measure(run: Run, rounds: int) -> dict[Start, dict[str, float]]:
    """Return the median seconds of every start of the run's jobs, in turns."""
    starts = list(dict.fromkeys(map(start_of, run.jobs)))
    found: dict[Start, list[dict[str, float]]] = {start: [] for start in starts}
    for number in range(rounds):
        for start in log.progress(starts, description=f"round {number + 1}"):
            found[start].append(begin(run, start))
    return {
        start: {part: median(each[part] for each in own) for part in PARTS}
        for start, own in found.items()
    }


def pace(run: Run, starts: Mapping[Start, Mapping[str, float]]) -> float:
    """Return how many times slower jobs started in the run than when they were measured.

    Computed from all jobs that load a model, since their logs have its time; 1 without any.
    """
    jobs = [job for job in run.jobs if job.model]
    measured = sum(sum(starts[start_of(job)].values()) for job in jobs)
    return sum(job.seen for job in jobs) / measured if jobs else 1.0


def tabulate(
    run: Run, starts: Mapping[Start, Mapping[str, float]], planning: float, cores: int
) -> list[dict]:
    """Return rows: each rule's jobs, Snakemake's share, and the sum, in seconds of jobs.

    Snakemake's are the seconds before the first job (`planning`, those of a dry run) and those in
    which no job ran, once for each core, and the time of jobs beyond their own. `measured` is the
    sum of the parts as they were measured; the parts and their share are at the run's `pace`.
    """
    slower = pace(run, starts)
    rules: dict[str, list[Job]] = {}
    for job in run.jobs:
        rules.setdefault(job.rule, []).append(job)
    rows = []
    for rule, jobs in rules.items():
        parts = {part: sum(starts[start_of(job)][part] for job in jobs) for part in PARTS}
        measured, parts = sum(parts.values()), {part: slower * parts[part] for part in PARTS}
        counts = {"jobs": len(jobs), "seconds": sum(job.seconds for job in jobs)}
        seen = sum(job.seen for job in jobs)
        rows.append(_row(rule, {**counts, **parts, "measured": measured}, seen))
    rows.sort(key=lambda row: -sum(row[part] for part in PARTS))
    own = cores * (slower * planning + run.idle) + run.lag
    none = dict.fromkeys(PARTS, 0.0)
    rows.append(
        _row("(snakemake)", {"jobs": 0, "seconds": own, **none, "start": own, "measured": own})
    )
    keys = ("jobs", "seconds", *PARTS, "measured")
    return [*rows, _row("(total)", {key: sum(row[key] for row in rows) for key in keys})]


def _row(rule: str, sums: Mapping[str, float], seen: float = float("nan")) -> dict:
    """Return one row of overhead.csv."""
    paid = sum(sums[part] for part in PARTS)
    share = paid / sums["seconds"] if sums["seconds"] else math.nan  # logs have whole seconds
    return {"rule": rule, **sums, "share": share, "seen": seen}


def dry_run(config: Path, rounds: int) -> dict:
    """Return a row: the jobs that a dry run of a config plans, and its median seconds."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        stand_in(Path(folder), read_yaml(config))
        for _ in range(rounds):
            clock = time.perf_counter()
            output = succeeded(
                snakemake(Path(folder), config, "-n", "--quiet", "rules", warm=False)
            )
            taken.append(time.perf_counter() - clock)
    jobs = int(re.search(r"^total +(\d+)$", output, re.M)[1])
    return {"rule": f"(dry run of {config.name})", "jobs": jobs, "seconds": median(taken)}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write overhead.csv and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, required=True, help="folder of a run: results/digits"
    )
    parser.add_argument(
        "--config", type=Path, default=ROOT / "config.yaml", help="config of that run"
    )
    parser.add_argument("--large", type=Path, default=LARGE, help="config of the second dry run")
    parser.add_argument("--cores", type=int, default=2, help="cores of that run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    log.start()
    run = read_run(arguments.results)
    plans = [dry_run(path, arguments.rounds) for path in (arguments.config, arguments.large)]
    starts = measure(run, arguments.rounds)
    rows = tabulate(run, starts, plans[0]["seconds"], arguments.cores)
    logger.info("%(seconds).0f s of jobs and Snakemake, of which overhead %(share).3f", rows[-1])
    write_table(arguments.out / "overhead.csv", [*rows, *plans])
    plot_overhead.main([str(arguments.out)])


if __name__ == "__main__":
    main()
