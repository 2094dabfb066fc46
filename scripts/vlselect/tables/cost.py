"""Costs of the jobs, from the benchmark files that Snakemake writes.

A benchmark file (``<costs>/<rule>/….jsonl``) has one JSON object for each run of a job, with the
wall-clock seconds `s`, `cpu_time` in seconds, `max_rss` in MB and the job's `resources`. Only the
attempt that succeeded is in it. Snakemake samples CPU time and memory every half second, later
every 30 s: they are lower bounds, and "NA" for a job that ended before the first sample.

A job's devices are its GPUs (`gpu`) or, if these are more, the processes that train together
(`processes`; threads and data loading workers do not count). A job in one process without a GPU
uses one device while it runs.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.tables.declarations import MEAN, REFERENCE, Run

logger = logging.getLogger(__name__)

SHARDS = re.compile(r"\*-of-(\d+)$")


@dataclass(frozen=True)
class Cost:
    """Cost of one or more jobs.

    `wall`, `device` and `cpu` are seconds summed over the jobs, `elapsed` the seconds with the jobs
    of a stage side by side, `peak` the largest memory of any job in MB. NaN and no jobs: not
    measured. The benchmark files of `unstated` jobs do not state their devices.
    """

    jobs: float = 0
    unsampled: float = 0
    wall: float = float("nan")
    device: float = float("nan")
    elapsed: float = float("nan")
    cpu: float = float("nan")
    peak: float = float("nan")
    unstated: float = 0


def devices(resources: Mapping) -> int:
    """Return how many devices a job with these resources uses: GPUs or processes, at least one."""
    return max(1, int(resources.get("gpu", 0)), int(resources.get("processes", 1)))


def read_job(path: Path) -> Cost:
    """Read the cost of one job; the mean, if its benchmark was repeated.

    Raises
    ------
    InputError
        If the file is not a benchmark in JSON lines.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        runs = [json.loads(line) for line in lines]
        wall = float(np.mean([float(run["s"]) for run in runs])) if runs else float("nan")
        held = max((devices(run.get("resources", {})) for run in runs), default=1)
        sampled = [run for run in runs if run["cpu_time"] != "NA" and run["max_rss"] != "NA"]
        cpu = sum(float(run["cpu_time"]) for run in sampled) / max(len(sampled), 1)
        peak = max((float(run["max_rss"]) for run in sampled), default=0.0)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a benchmark file in JSON lines: {error!r}") from error
    if not runs:
        raise InputError(f"{path}: is empty")
    unstated = int(any("resources" not in run for run in runs))
    return Cost(1, int(not sampled), wall, wall * held, wall, cpu, peak, unstated)


def total(costs: Iterable[Cost]) -> Cost:
    """Sum costs; not measured if one of them was not. An empty sum is zero."""
    costs = list(costs)
    if any(np.isnan(cost.wall) for cost in costs):
        return Cost()
    summed = ("jobs", "unsampled", "unstated", "wall", "device", "elapsed", "cpu")
    sums = {name: sum(getattr(cost, name) for cost in costs) for name in summed}
    return Cost(**sums, peak=max((cost.peak for cost in costs), default=0.0))


def side_by_side(costs: Iterable[Cost]) -> Cost:
    """Sum the costs of jobs that run at the same time: `elapsed` is that of the longest."""
    costs = list(costs)
    return replace(total(costs), elapsed=max((cost.elapsed for cost in costs), default=0.0))


def mean(costs: Sequence[Cost]) -> Cost:
    """Average the costs of alternatives (the seeds of one run); not measured if one was not."""
    if not costs:
        return Cost()
    together, n = total(costs), len(costs)
    counts = {name: round(getattr(together, name) / n) for name in ("jobs", "unsampled")}
    seconds = {name: getattr(together, name) / n for name in ("wall", "device", "elapsed", "cpu")}
    return replace(together, **counts, **seconds)


def stage_cost(folder: Path, name: str) -> Cost:
    """Read the cost of a job, or of all shards of a stage.

    `name` is the benchmark file in `folder` without ``.jsonl``: "cast_votes/all", or with ``*`` for
    the number of each shard: "extract_features/reference/*-of-4". If a file is missing, the cost is
    not measured, with a warning.
    """
    shards = SHARDS.search(name)
    numbers = range(1, int(shards[1]) + 1) if shards else [None]
    paths = [folder / f"{name.replace('*', str(number))}.jsonl" for number in numbers]
    for path in paths:
        if not path.is_file():
            logger.warning("no benchmark file %s: the cost is left empty", path)
            return Cost()
    return side_by_side(map(read_job, paths))


def rule_rows(folder: Path) -> list[dict]:
    """Return a row of ``cost.csv`` for every rule that has benchmark files, by name."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        files.setdefault(path.relative_to(folder).parts[0].removesuffix(".jsonl"), []).append(path)
    costs = {rule: side_by_side(map(read_job, files[rule])) for rule in sorted(files)}
    unstated = [rule for rule, cost in costs.items() if cost.unstated]
    if unstated:
        logger.warning("jobs of %s do not state their devices: one is counted", ", ".join(unstated))
    return [_row("rule", rule, cost) for rule, cost in costs.items()]


def method_rows(
    folder: Path, selections: Mapping[str, Sequence[str]], runs: Sequence[Run], finetuning: str
) -> list[dict]:
    """Return the rows of ``cost.csv`` for selection, finetuning and both, of each method and ratio.

    Selection is all that a method needs beyond the prepared pool and tasks to choose one subset,
    including jobs that another method needs too. Finetuning is one checkpoint. Both are means over
    seeds.

    Parameters
    ----------
    folder : Path
        The costs folder of the run.
    selections : mapping of str to sequence of str
        For each subset, ``<method>/<budget>_seed-<s>``, the benchmark files (see `stage_cost`) of
        all jobs behind it; ``{subset}`` in a name stands for the last part of the subset's name.
    runs : sequence of Run
        Checkpoints; their benchmark files are
        ``<finetuning>/<model>/<method>/<budget>_seed-<s>.jsonl``. Without a model, there is none.
    finetuning : str
        Name of the finetuning rule.

    Raises
    ------
    ValueError
        If `selections` lacks the subset of a run.
    """
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.model, run.method, run.ratio), []).append(run)
    behind = {run: _jobs_behind(selections, run) for run in runs}
    names = dict.fromkeys(name for jobs in behind.values() for name in jobs)
    costs = {name: stage_cost(folder, name) for name in names}
    finetuned = {
        (model, method, ratio): mean(
            [stage_cost(folder, f"{finetuning}/{model}/{method}/{run.label}") for run in seeds]
        )
        for (model, method, ratio), seeds in groups.items()
        if model
    }
    full = {key[0]: cost.device for key, cost in finetuned.items() if key[1] == REFERENCE}
    rows = []
    for (model, method, ratio), seeds in groups.items():
        selection = mean([total(costs[name] for name in behind[run]) for run in seeds])
        levels = {"selection": selection}
        if model:
            finetune = finetuned[model, method, ratio]
            levels |= {"finetuning": finetune, "total": total([selection, finetune])}
        for level, cost in levels.items():
            share = 100.0 * cost.device / full.get(model, float("nan"))
            rows.append(_row(level, method, cost, model, ratio, share))
    return rows


def _jobs_behind(selections: Mapping[str, Sequence[str]], run: Run) -> list[str]:
    """Return the benchmark files of all jobs behind the subset of a run."""
    subset = f"{run.method}/{run.label}"
    if subset not in selections:
        raise InputError(f"subset {subset}: the jobs that its selection needs are not given")
    return [name.replace("{subset}", run.label) for name in selections[subset]]


def beside_performance(cost: pd.DataFrame, performance: pd.DataFrame) -> pd.DataFrame:
    """Join ``cost.csv`` with the means of ``relative_performance.csv``, in the order of the latter.

    Columns: model, method, ratio, selection, finetuning, total (in % of finetuning on `full`),
    relative, low, high. Methods without a total are left out; published totals may have NaN parts.
    """
    keys = ["model", "method", "ratio"]
    levels = ["selection", "finetuning", "total"]
    own = cost[cost["level"].isin(levels)].rename(columns={"name": "method"})
    wide = own.pivot(index=keys, columns="level", values="relative_to_full")
    wide = wide.reindex(columns=levels).dropna(subset="total")
    means = performance[performance["task"] == MEAN]
    joined = means.merge(wide, left_on=keys, right_index=True, how="inner", sort=False)
    return joined[[*keys, *levels, "relative", "low", "high"]].reset_index(drop=True)


def _row(
    level: str,
    name: str,
    cost: Cost,
    model: str = "",
    ratio: str = "",
    relative_to_full: float = float("nan"),
) -> dict:
    """Return one row of ``cost.csv``, with the columns of `declarations.TABLES`."""
    return {
        "level": level,
        "name": name,
        "model": model,
        "ratio": ratio,
        "jobs": int(cost.jobs),
        "unsampled": int(cost.unsampled),
        "device_seconds": cost.device,
        "wall_seconds": cost.wall,
        "elapsed_seconds": cost.elapsed,
        "cpu_seconds": cost.cpu,
        "peak_memory_mb": cost.peak,
        "relative_to_full": relative_to_full,
    }
