"""The share of the full pool's performance that a subset keeps."""

import logging
from collections.abc import Mapping

import pandas as pd

from vlselect.core.errors import InputError
from vlselect.tables.contrasts import Contrasts
from vlselect.tables.declarations import MEAN, REFERENCE

logger = logging.getLogger(__name__)


def merge_groups(scores: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Replace the subtasks of a group by one benchmark, their mean score.

    It counts as much as any other benchmark. Whether its score is the sum or the mean of its
    subtasks' makes no difference to a ratio of two such scores.
    """
    keys = ["model", "method", "ratio", "seed", "task"]
    merged = scores[[*keys, "score"]].copy()
    merged["task"] = [groups.get(task, task) for task in merged["task"]]
    return merged.groupby(keys, sort=False, as_index=False)["score"].mean()


def relative_by_seed(scores: pd.DataFrame) -> pd.DataFrame:
    """Compute the relative performance of every run on every benchmark, and its mean over them.

    Parameters
    ----------
    scores : DataFrame
        Columns model, method, ratio, seed, task, score. Rows without a model (a baseline that
        needs none) are compared with every model.

    Returns
    -------
    DataFrame
        ``relative_by_seed.csv``: for each run the benchmarks in the order of `scores`, then
        ``mean``. Where `full` scores zero, `relative` is NaN and left out of the mean, with a
        warning; `n_tasks` counts what is in. On a model whose `full` scores zero everywhere, all
        are NaN.

    Raises
    ------
    InputError
        If there is no run of `full`, or a run lacks a task.
    """
    parts = []
    for model in [name for name in dict.fromkeys(scores["model"]) if name]:
        own = scores[scores["model"].isin([model, ""])].assign(model=model)
        tasks = list(dict.fromkeys(own["task"]))
        full = _reference(own, model, tasks)
        for key, run in own.groupby(["model", "method", "ratio", "seed"], sort=False):
            raw = run.set_index("task")["score"]
            if raw.index.has_duplicates or set(raw.index) != set(tasks):
                raise InputError(f"run {'/'.join(key)} has tasks {list(raw.index)}, needs {tasks}")
            relative = 100.0 * raw[tasks] / full
            part = pd.DataFrame({"task": [*tasks, MEAN]})
            part["score"] = [*raw[tasks], raw.mean()]
            part["n_tasks"] = [*relative.notna().astype(int), relative.count()]
            part["relative"] = [*relative, relative.mean()]
            for column, value in zip(["seed", "ratio", "method", "model"], key[::-1], strict=True):
                part.insert(0, column, value)
            parts.append(part)
    if not parts:
        raise InputError("no run of any model: nothing to compare")
    return pd.concat(parts, ignore_index=True)


def _reference(own: pd.DataFrame, model: str, tasks: list[str]) -> pd.Series:
    """Return the mean score of `full` over its seeds on each task; NaN where it is zero."""
    full = own[own["method"] == REFERENCE].groupby("task")["score"].mean()
    missing = [task for task in tasks if task not in full.index]
    if missing:
        raise InputError(f"model {model}: no score of {REFERENCE!r} on task(s) {missing}")
    zero = [task for task in tasks if not full[task] > 0.0]
    if zero:
        logger.warning(
            "model %s: %r scores zero on task(s) %s; performance relative to it is undefined "
            "there: the mean is over %d of %d tasks",
            *(model, REFERENCE, ", ".join(zero), len(tasks) - len(zero), len(tasks)),
        )
    return full[tasks].where(full[tasks] > 0.0)


def relative_performance(by_seed: pd.DataFrame, contrasts: Mapping[str, Contrasts]) -> pd.DataFrame:
    """Compute ``relative_performance.csv``: each method and ratio, with 95 % intervals.

    `by_seed` is from `relative_by_seed`, `contrasts` of the same scores from `contrasts.by_model`.
    `full` is 100 by definition: no interval.
    """
    rows = []
    keys = ["model", "method", "ratio", "task"]
    for key, seeds in by_seed.groupby(keys, sort=False):
        model, method, ratio, task = key
        of_model, relative = contrasts[model], float(seeds["relative"].mean())
        weights = of_model.relative(method, ratio, None if task == MEAN else task)
        numbers = {"n_seeds": len(seeds), "score": float(seeds["score"].mean())}
        numbers["n_tasks"] = int(seeds["n_tasks"].iloc[0])
        ends = of_model.interval(weights).columns(relative)
        rows.append(dict(zip(keys, key, strict=True)) | numbers | {"relative": relative} | ends)
    return pd.DataFrame(rows)
