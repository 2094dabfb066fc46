"""What the jobs cost, from the benchmark files that Snakemake writes.

A benchmark file (``<costs>/<rule>/….jsonl``) has one JSON object per run of a job, with the
wall-clock seconds `s`, `cpu_time` in seconds, `max_rss` in MB and the job's `resources`. It is of
the attempt that succeeded: time lost in failed ones is not in it. Snakemake takes CPU time and
memory by looking at the process every half second, later every 30 s: they are lower bounds, and
"NA" for a job that ended before the first look.

A job's devices are the GPUs that it holds (`gpu`) or, where these are more, the processes of its
launch (`processes`: those that train together; neither threads nor workers that read ahead). So a
job in one process without a GPU holds one device while it runs.
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

    `wall`, `device` and `cpu` are seconds that add up over the jobs, `elapsed` the seconds where
    those of a stage run side by side, `peak` is MB (the largest of any one job); NaN throughout and
    no jobs: nothing was measured. `unstated` jobs do not say which devices they had.
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
    """Devices that a job with these resources holds: GPUs or processes, and at least one."""
    return max(1, int(resources.get("gpu", 0)), int(resources.get("processes", 1)))


def read_job(path: Path) -> Cost:
    """Cost of one job; of a repeated benchmark the mean.

    Raises
    ------
    ValueError
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
    """Sum of costs; not measured if one of them was not. No costs at all sum to zero."""
    costs = list(costs)
    if any(np.isnan(cost.wall) for cost in costs):
        return Cost()
    summed = ("jobs", "unsampled", "unstated", "wall", "device", "elapsed", "cpu")
    sums = {name: sum(getattr(cost, name) for cost in costs) for name in summed}
    return Cost(**sums, peak=max((cost.peak for cost in costs), default=0.0))


def side_by_side(costs: Iterable[Cost]) -> Cost:
    """The same, of jobs that run at the same time: the longest is what has elapsed."""
    costs = list(costs)
    return replace(total(costs), elapsed=max((cost.elapsed for cost in costs), default=0.0))


def mean(costs: Sequence[Cost]) -> Cost:
    """Mean of alternatives (the seeds of one run); not measured if one of them was not."""
    if not costs:
        return Cost()
    together, n = total(costs), len(costs)
    counts = {name: round(getattr(together, name) / n) for name in ("jobs", "unsampled")}
    seconds = {name: getattr(together, name) / n for name in ("wall", "device", "elapsed", "cpu")}
    return replace(together, **counts, **seconds)


def stage_cost(folder: Path, name: str) -> Cost:
    """Cost of a job, or of all shards of a stage.

    Parameters
    ----------
    folder : Path
        The costs folder of the run.
    name : str
        The benchmark file below it, without ``.jsonl``: "cast_votes/all", or with ``*`` for the
        number of each shard: "extract_features/reference/*-of-4".

    Returns
    -------
    Cost
        Not measured (and a warning) if a benchmark file is missing.
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
    """A row of ``cost.csv`` for every rule that left benchmark files, by name."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        files.setdefault(path.relative_to(folder).parts[0].removesuffix(".jsonl"), []).append(path)
    costs = {rule: side_by_side(map(read_job, files[rule])) for rule in sorted(files)}
    unstated = [rule for rule, cost in costs.items() if cost.unstated]
    if unstated:
        logger.warning("jobs of %s do not say their devices: one is counted", ", ".join(unstated))
    return [_row("rule", rule, cost) for rule, cost in costs.items()]


def method_rows(
    folder: Path, selections: Mapping[str, Sequence[str]], runs: Sequence[Run], finetuning: str
) -> list[dict]:
    """Rows of ``cost.csv`` for selection, finetuning and both, of each method and ratio.

    Selection is everything that a method needs beyond the prepared pool and tasks to name one
    subset, also where another method uses the same. Finetuning is one checkpoint. Seeds are
    alternatives: their mean counts.

    Parameters
    ----------
    folder : Path
        The costs folder of the run.
    selections : mapping of str to sequence of str
        For each subset, ``<method>/<budget>_seed-<s>``, the benchmark files (see `stage_cost`) of
        all jobs behind it; ``{subset}`` in one stands for the last part of the subset's name.
    runs : sequence of Run
        The checkpoints, of which the benchmark files are
        ``<finetuning>/<model>/<method>/<budget>_seed-<s>.jsonl``.
    finetuning : str
        Name of the finetuning rule.

    Returns
    -------
    list of dict
        Three rows for each model, method and ratio.

    Raises
    ------
    ValueError
        If the jobs behind a subset are not given.
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
    }
    full = {key[0]: cost.device for key, cost in finetuned.items() if key[1] == REFERENCE}
    rows = []
    for (model, method, ratio), seeds in groups.items():
        selection = mean([total(costs[name] for name in behind[run]) for run in seeds])
        finetune = finetuned[model, method, ratio]
        levels = {
            "selection": selection,
            "finetuning": finetune,
            "total": total([selection, finetune]),
        }
        for level, cost in levels.items():
            share = 100.0 * cost.device / full.get(model, float("nan"))
            rows.append(_row(level, method, cost, model, ratio, share))
    return rows


def _jobs_behind(selections: Mapping[str, Sequence[str]], run: Run) -> list[str]:
    """The benchmark files of all jobs behind the subset of a run."""
    subset = f"{run.method}/{run.label}"
    if subset not in selections:
        raise InputError(f"subset {subset}: the jobs that its selection needs are not given")
    return [name.replace("{subset}", run.label) for name in selections[subset]]


def beside_performance(cost: pd.DataFrame, performance: pd.DataFrame) -> pd.DataFrame:
    """Join ``cost.csv`` and the means of ``relative_performance.csv``.

    Returns
    -------
    DataFrame
        Columns model, method, ratio, selection, finetuning, total, relative, low, high, in the
        order of `performance`. Costs are in % of finetuning on `full`; methods whose total is not
        known are left out. A published total may come without its parts, which then are NaN.
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
    """One row of ``cost.csv``."""
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
