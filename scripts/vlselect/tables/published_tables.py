"""Published tables of results, in the form of a run's own tables.

A publication gives scores without the questions behind them, mostly one number for each method and
benchmark. What it does not say stays empty: seeds, metrics, numbers of questions (0).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.tables.declarations import MEAN, REFERENCE, TABLES, ratio_order

METRIC = "published"


def published_scores(wide: pd.DataFrame, model: str, ratio: str) -> pd.DataFrame:
    """Long form of a table that has a row for each method and a column for each benchmark.

    Parameters
    ----------
    wide : DataFrame
        Text columns `method`, optionally `ratio` and `seed`, and one column of numbers for each
        benchmark, each in its own unit.
    model : str
        The finetuned model.
    ratio : str
        Ratio of the rows that do not have one of their own; ``full`` is always at 1.0.

    Returns
    -------
    DataFrame
        The columns of ``benchmark_scores.csv``, methods and benchmarks in the order of `wide`.

    Raises
    ------
    ValueError
        If a column is missing, a score is not a finite number, or a run stands there twice.
    """
    if "method" not in wide.columns:
        raise InputError(f"no column `method` among {list(wide.columns)}")
    benchmarks = [name for name in wide.columns if name not in ("method", "ratio", "seed")]
    rows = []
    for record in wide.to_dict("records"):
        method = record["method"]
        own = "1.0" if method == REFERENCE else str(record.get("ratio", ratio))
        names = {"model": model, "method": method, "ratio": own, "seed": record.get("seed", "")}
        rows += [
            names | {"task": task, "metric": METRIC, "score": _number(record[task], method, task)}
            for task in benchmarks
        ]
    scores = pd.DataFrame(rows).assign(n=0)
    keys = ["method", "ratio", "seed", "task"]
    if scores.duplicated(keys).any():
        raise InputError(f"stands there twice: {scores[scores.duplicated(keys)].iloc[0].to_dict()}")
    return scores


def check_means(performance: pd.DataFrame, stated: Sequence[float], tolerance: float) -> None:
    """Check computed means of relative performance against those that the publication states.

    Parameters
    ----------
    performance : DataFrame
        As `relative_performance.relative_performance` returns it.
    stated : sequence of float
        One for each mean in it, in that order, in %.
    tolerance : float
        Largest difference that rounding can explain.

    Raises
    ------
    ValueError
        Naming every method whose mean differs by more; or if there is not one for each mean.
    """
    means = performance[performance["task"] == MEAN]
    if len(means) != len(stated):
        raise InputError(f"{len(stated)} stated means for {len(means)} methods and ratios")
    off = np.abs(means["relative"].to_numpy() - np.asarray(stated, dtype=np.float64)) > tolerance
    if off.any():
        wrong = [
            f"{method}: stated {said:g}, computed {value:.2f}"
            for method, said, value, bad in zip(
                means["method"], stated, means["relative"], off, strict=True
            )
            if bad
        ]
        raise InputError(f"relative performance differs from what is stated: {'; '.join(wrong)}")


def published_cost(hours: pd.DataFrame, model: str) -> pd.DataFrame:
    """Rows of ``cost.csv`` from published times.

    Parameters
    ----------
    hours : DataFrame
        Columns level (``selection``, ``finetuning`` or ``total``), method, ratio, and `hours` of
        wall-clock time or `device_hours`, such as GPU-hours: shares are of whichever is published.
        One row has to be the finetuning of ``full``.
    model : str
        The finetuned model.

    Returns
    -------
    DataFrame
        The columns of ``cost.csv``. The full pool needs no selection, so its total is its
        finetuning; no other part is filled in.

    Raises
    ------
    ValueError
        If the time of finetuning on the full pool is not there, or there are both kinds of hours.
    """
    kinds = {"hours": "wall_seconds", "device_hours": "device_seconds"}
    published = [kind for kind in kinds if kind in hours.columns]
    if len(published) != 1:
        raise InputError(f"needs one column of {list(kinds)}, has {published}")
    full = hours[(hours["method"] == REFERENCE) & (hours["level"] == "finetuning")]
    if len(full) != 1:
        raise InputError(f"needs one row with the hours of finetuning on {REFERENCE!r}")
    none = full.assign(level="selection", **{published[0]: 0.0})
    parts = [full, none, full.assign(level="total")]
    others = hours[hours["method"] != REFERENCE]
    others = others.iloc[np.argsort([ratio_order(r) for r in others["ratio"]], kind="stable")]
    rows = pd.concat([*parts, others], ignore_index=True)
    seconds = 3600.0 * rows[published[0]].astype(float)
    table = pd.DataFrame({"level": rows["level"], "name": rows["method"], "model": model})
    table["ratio"] = rows["ratio"]
    table["jobs"] = table["unsampled"] = 0
    table = table.reindex(columns=list(TABLES["cost"]))  # what is not published stays empty
    table[kinds[published[0]]] = seconds
    table["relative_to_full"] = 100.0 * seconds / seconds.iloc[0]
    return table


def _number(text: str, method: str, task: str) -> float:
    """A score, or an error that says whose."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{method}, {task}: {text!r} is not a number")
    return value
