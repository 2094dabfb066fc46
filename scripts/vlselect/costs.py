"""What the jobs cost, from the benchmark files that Snakemake writes.

A benchmark file (``<costs>/<rule>/….jsonl``) has one JSON object per run of a job, with the
wall-clock seconds `s`, `cpu_time` in seconds and `max_rss` in MB. Snakemake takes CPU time and
memory by looking at the process every half second, later every 30 s: they are lower bounds,
and "NA" for a job that ended before the first look.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.tables import MEAN, REFERENCE, Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cost:
    """Cost of one or more jobs, as if they ran one after another.

    `wall` and `cpu` are seconds, `peak` is MB (the largest of any one job); NaN throughout and
    no jobs: nothing was measured.
    """

    jobs: float = 0
    unsampled: float = 0
    wall: float = float("nan")
    cpu: float = float("nan")
    peak: float = float("nan")


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
        sampled = [run for run in runs if run["cpu_time"] != "NA" and run["max_rss"] != "NA"]
        cpu = sum(float(run["cpu_time"]) for run in sampled) / max(len(sampled), 1)
        peak = max((float(run["max_rss"]) for run in sampled), default=0.0)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a benchmark file in JSON lines: {error!r}") from error
    if not runs:
        raise ValueError(f"{path}: is empty")
    return Cost(1, int(not sampled), wall, cpu, peak)


def total(costs: Iterable[Cost]) -> Cost:
    """Sum of costs; not measured if one of them was not. No costs at all sum to zero."""
    costs = list(costs)
    if any(np.isnan(cost.wall) for cost in costs):
        return Cost()
    return Cost(
        sum(cost.jobs for cost in costs),
        sum(cost.unsampled for cost in costs),
        sum(cost.wall for cost in costs),
        sum(cost.cpu for cost in costs),
        max((cost.peak for cost in costs), default=0.0),
    )


def mean(costs: Sequence[Cost]) -> Cost:
    """Mean of alternatives (the seeds of one run); not measured if one of them was not."""
    if not costs:
        return Cost()
    together = total(costs)
    n = len(costs)
    return Cost(
        round(together.jobs / n),
        round(together.unsampled / n),
        together.wall / n,
        together.cpu / n,
        together.peak,
    )


def stage_cost(folder: Path, stage: str) -> Cost:
    """Cost of all jobs of a stage: of a rule, or of a folder below it.

    Parameters
    ----------
    folder : Path
        The costs folder of the run.
    stage : str
        A rule ("warm_up"), or a rule and the beginning of its jobs' names
        ("extract_features/reference").

    Returns
    -------
    Cost
        Not measured (and a warning) if there is no benchmark file.
    """
    place = folder / stage
    files = [place.with_name(f"{place.name}.jsonl")]
    files = [path for path in files if path.is_file()] + sorted(place.rglob("*.jsonl"))
    if not files:
        logger.warning("no benchmark files of %s: its cost is left empty", place)
        return Cost()
    return total(read_job(path) for path in files)


def run_cost(folder: Path, rule: str, runs: Sequence[Run], with_model: bool) -> Cost:
    """Mean cost over the given runs (seeds) of one job of a rule.

    The job's benchmark file is ``<rule>/[<model>/<method>/]<budget>_seed-<s>.jsonl``.
    """
    costs = []
    for run in runs:
        place = folder / rule
        if with_model:
            place = place / run.model / run.method
        path = place / f"{run.label}.jsonl"
        if not path.is_file():
            logger.warning("no benchmark file %s: the cost of %s is left empty", path, rule)
            return Cost()
        costs.append(read_job(path))
    return mean(costs)


def rule_rows(folder: Path) -> list[dict]:
    """A row of ``cost.csv`` for every rule that left benchmark files, by name."""
    rules = sorted({path.relative_to(folder).parts[0] for path in folder.rglob("*.jsonl")})
    names = [rule.removesuffix(".jsonl") for rule in rules]
    return [_row("rule", name, stage_cost(folder, name)) for name in dict.fromkeys(names)]


def method_rows(
    folder: Path, stages: Mapping[str, Sequence[str]], runs: Sequence[Run], finetuning: str
) -> list[dict]:
    """Rows of ``cost.csv`` for selection, finetuning and both, of each method and ratio.

    Selection is everything that a method needs beyond the prepared pool to name one subset:
    its stages, also where another method uses the same ones, and the job that writes the
    subset. Finetuning is one checkpoint. Seeds are alternatives: their mean counts.

    Parameters
    ----------
    folder : Path
        The costs folder of the run.
    stages : mapping of str to sequence of str
        For each method the stages (see `stage_cost`) that its selection needs. Of its own rule
        ``select_<method>`` only the jobs of the ratio in question count, listed or not.
    runs : sequence of Run
        The checkpoints.
    finetuning : str
        Name of the finetuning rule.

    Returns
    -------
    list of dict
        Three rows for each model, method and ratio.

    Raises
    ------
    ValueError
        If the stages of a method are not given.
    """
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.model, run.method, run.ratio), []).append(run)
    finetuned = {
        key: run_cost(folder, finetuning, seeds, with_model=True) for key, seeds in groups.items()
    }
    full = {key[0]: cost.wall for key, cost in finetuned.items() if key[1] == REFERENCE}
    rows = []
    for (model, method, ratio), seeds in groups.items():
        if method not in stages:
            raise ValueError(f"method {method}: nobody says which rules its selection needs")
        own_rule = f"select_{method}"
        shared = [stage_cost(folder, stage) for stage in stages[method] if stage != own_rule]
        own = run_cost(folder, own_rule, seeds, with_model=False)
        selection = total([*shared, own])
        finetune = finetuned[model, method, ratio]
        levels = {
            "selection": selection,
            "finetuning": finetune,
            "total": total([selection, finetune]),
        }
        for level, cost in levels.items():
            share = 100.0 * cost.wall / full.get(model, float("nan"))
            rows.append(_row(level, method, cost, model, ratio, share))
    return rows


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
        "wall_seconds": cost.wall,
        "cpu_seconds": cost.cpu,
        "peak_memory_mb": cost.peak,
        "relative_to_full": relative_to_full,
    }
