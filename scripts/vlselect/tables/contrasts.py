"""Weighted sums of mean scores, which the tables report, with their intervals.

A *cell* is a method at a ratio; its runs differ in the seed. The relative performance of a cell on
a benchmark is 100 · its mean score / that of `full`. To first order, its error is the weighted sum

    100/F · (error of the cell's mean score) − 100·score/F² · (error of the mean score F of `full`)

(the delta method; Cochran 1977, Sampling Techniques, section 6.4), so the seeds and questions of
`full` count too. Means over benchmarks and differences between cells are sums of such sums.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.store import read_parquet
from vlselect.tables import intervals
from vlselect.tables.declarations import REFERENCE, UNTRAINED, Run
from vlselect.tables.intervals import Interval, QuestionSpread, SeedSpread

logger = logging.getLogger(__name__)

Reader = Callable[[Run, str], pd.Series | None]


def unit_score_reader(
    folder: Path, runs: Iterable[str], shares: Mapping[str, str] | None = None
) -> Reader:
    """Return a function that reads one run's scores on one task by unit; None without units.

    It reads `unit` and `unit_score` from ``<folder>/<run>/<task>.parquet``; runs and shares are
    those of `Run.parse`.
    """
    names = {_key(Run.parse(name, shares)): name for name in runs}

    def read(run: Run, task: str) -> pd.Series | None:
        path = folder / names[_key(run)] / f"{task}.parquet"
        table = read_parquet(path, columns=["unit", "unit_score"])
        table = table[table["unit"] >= 0].drop_duplicates("unit").set_index("unit")
        return table["unit_score"].sort_index() if len(table) else None

    return read


def _key(run: Run) -> tuple[str, str, str, str]:
    return run.model, run.method, run.ratio, run.seed


@dataclass(frozen=True)
class Contrasts:
    """The scores of one model's cells, with intervals of their weighted sums.

    Attributes
    ----------
    cells : list of (method, ratio), length C
    benchmarks : dict of str to list of int
        Columns of each benchmark: its task, or its subtasks.
    means : float64 array, shape (C, T)
        Mean score over seeds.
    seeds : SeedSpread
    questions : list of QuestionSpread or None, length T
    """

    cells: list[tuple[str, str]]
    benchmarks: dict[str, list[int]]
    means: np.ndarray
    seeds: SeedSpread
    questions: list[QuestionSpread | None]

    def relative(self, method: str, ratio: str, benchmark: str | None = None) -> np.ndarray:
        """Return the weights, shape (C, T), of a cell's relative performance on one benchmark.

        Without `benchmark`: of its mean over benchmarks, except those on which `full` scores zero.
        """
        cell, weights = self.cells.index((method, ratio)), np.zeros(self.means.shape)
        full = next(row for row, (name, _) in enumerate(self.cells) if name == REFERENCE)
        names = self.benchmarks if benchmark is None else [benchmark]
        counting = [self.benchmarks[name] for name in names]
        counting = [columns for columns in counting if self.means[full, columns].mean() > 0.0]
        for columns in counting:
            share = 100.0 / len(counting) / len(columns)
            own, whole = (self.means[row, columns].mean() for row in (cell, full))
            weights[cell, columns] += share / whole
            weights[full, columns] -= share * own / whole**2
        return weights

    def interval(self, weights: np.ndarray) -> Interval:
        """Return the interval of a weighted sum of the cells' mean scores."""
        return intervals.interval(weights, self.seeds, self.questions)


def by_model(
    scores: pd.DataFrame, groups: Mapping[str, str] | None = None, read: Reader | None = None
) -> dict[str, Contrasts]:
    """Collect the scores of every model.

    Parameters
    ----------
    scores : DataFrame
        Columns model, method, ratio, seed, task, score; every run on the same tasks, and a run of
        `full` for each model. Rows without a model belong to every model.
    groups : mapping of str to str, optional
        Benchmark of each subtask.
    read : Reader, optional
        From `unit_score_reader`; without it, intervals cover seeds only.

    Raises
    ------
    ValueError
        If runs have different units on a task.
    """
    models = [name for name in dict.fromkeys(scores["model"]) if name]
    parts = {model: scores[scores["model"].isin([model, ""])] for model in models}
    return {model: _contrasts(own, groups or {}, read) for model, own in parts.items()}


def _contrasts(scores: pd.DataFrame, groups: Mapping[str, str], read: Reader | None) -> Contrasts:
    tasks = list(dict.fromkeys(scores["task"]))
    benchmarks: dict[str, list[int]] = {}
    for column, task in enumerate(tasks):
        benchmarks.setdefault(groups.get(task, task), []).append(column)
    runs, cells = [], []
    for key, cell in scores.groupby(["method", "ratio"], sort=False):
        wide = cell.pivot(index=["model", "seed"], columns="task", values="score")[tasks]
        runs.append([Run(model, *key, seed) for model, seed in wide.index])
        cells.append(wide.to_numpy(np.float64))
    names = [(own[0].method, own[0].ratio) for own in runs]
    seeds = intervals.seed_spread(cells, [method not in UNTRAINED for method, _ in names])
    questions = [_question_spread(runs, task, read) for task in tasks]
    means = np.stack([cell.mean(axis=0) for cell in cells])
    return Contrasts(names, benchmarks, means, seeds, questions)


def _question_spread(
    runs: list[list[Run]], task: str, read: Reader | None
) -> QuestionSpread | None:
    """Read all cells' unit scores on one task; None if a run has none."""
    if read is None:
        return None
    units, cells = None, []
    for own in runs:
        rows = []
        for run in own:
            name, values = "/".join(filter(None, _key(run))), read(run, task)
            if values is None:
                logger.warning("%s, %s: scores of single questions are unknown", name, task)
                return None
            units = values.index if units is None else units
            if not values.index.equals(units):
                raise InputError(f"{name}, {task}: has other questions than the other runs")
            rows.append(values.to_numpy(np.float64))
        cells.append(np.stack(rows))
    return intervals.question_spread(cells)
