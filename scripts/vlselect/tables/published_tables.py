"""Published tables of results, converted to a run's own tables.

A publication gives scores without the questions behind them, mostly one number for each method and
benchmark. What it does not state stays empty: seeds, metrics, numbers of questions (0).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.tables.declarations import MEAN, REFERENCE, TABLES, ratio_order

METRIC = "published"


def published_scores(wide: pd.DataFrame, model: str, ratio: str) -> pd.DataFrame:
    """Convert a published table to ``benchmark_scores.csv``, in its order.

    Parameters
    ----------
    wide : DataFrame
        Text columns `method`, optionally `ratio` and `seed`, and one column of numbers for each
        benchmark, each in its own unit.
    model : str
        The finetuned model.
    ratio : str
        Ratio of the rows without one of their own; that of ``full`` is always 1.0.

    Raises
    ------
    InputError
        If there is no column `method`, a score is not a finite number, or a run is there twice.
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
        raise InputError(f"is there twice: {scores[scores.duplicated(keys)].iloc[0].to_dict()}")
    return scores


def check_means(performance: pd.DataFrame, stated: Sequence[float], tolerance: float) -> None:
    """Check computed means of relative performance against those that the publication states.

    Parameters
    ----------
    performance : DataFrame
        From `relative.relative_performance`.
    stated : sequence of float
        In %, one for each mean in `performance`, in that order.
    tolerance : float
        Largest difference that rounding can explain.

    Raises
    ------
    InputError
        If a mean differs by more, naming every such method; or if the number of means differs.
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
    """Convert published times to ``cost.csv``.

    The full pool needs no selection, so its total is its finetuning; no other part is filled in.

    Parameters
    ----------
    hours : DataFrame
        Columns level (``selection``, ``finetuning`` or ``total``), method, ratio, and one of
        `hours` of wall-clock time and `device_hours`, such as GPU-hours; shares are computed
        from it. One row has to be the finetuning of ``full``.
    model : str
        The finetuned model.

    Raises
    ------
    InputError
        If there are no hours of finetuning on the full pool, or both kinds of hours.
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
    table = table.reindex(columns=list(TABLES["cost"]))  # unpublished columns stay empty
    table[kinds[published[0]]] = seconds
    table["relative_to_full"] = 100.0 * seconds / seconds.iloc[0]
    return table


def _number(text: str, method: str, task: str) -> float:
    """Parse a score; errors name its method and task."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{method}, {task}: {text!r} is not a number")
    return value
