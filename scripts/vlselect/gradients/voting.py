"""Turn influences into an order of the pool: votes, ranks and the other aggregators.

All functions take one influence table, (N, T) with a column per voting task, and select the same
samples for any order of its rows: sums that decide an order are exact or correctly rounded.

References
----------
.. [1] Wu et al., ICONS, arXiv:2501.00654, section 3.3 (generalist stage: influence consensus) and
   its ablation of aggregators.
.. [2] Xia et al., LESS, arXiv:2402.04333 (maximum over tasks).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vlselect.core.errors import InputError
from vlselect.core.ordering import top

TIE_BREAKS = ("mean_rank", "index")


def influence_table(influence: Mapping[str, pd.DataFrame]) -> np.ndarray:
    """Return the influences on tasks, each a DataFrame with that column, as float32 (N, T)."""
    return np.column_stack([frame["influence"].to_numpy() for frame in influence.values()])


def require_informative(table: np.ndarray, tasks: Sequence[str]) -> None:
    """Check that each task's influence, a column of `table` (N, T), can rank the pool.

    Raises
    ------
    ValueError
        If an influence is not finite (names task and row), or is the same for all samples: such a
        column would vote for everything, has no z-score, and means that an earlier step failed.
    """
    if table.shape[1] == 0 or table.shape[1] != len(tasks):
        raise ValueError(f"influence table of shape {table.shape} for the tasks {list(tasks)}")
    for task, column in zip(tasks, table.T, strict=True):
        finite = np.isfinite(column)
        if not finite.all():
            raise InputError(f"influence on {task} of row {int(np.argmin(finite))} is not finite")
        if len(column) > 1 and column.min() == column.max():
            raise InputError(f"influence on {task} is {column[0]} for every sample: no ranking")


def cast_votes(table: np.ndarray, top_percent: float) -> np.ndarray:
    """Let each task vote for its most influential samples.

    v_t(i) = 1 where I_t(i) is at least the (100 - p)-th percentile of I_t, which is interpolated
    linearly in float64.

    Parameters
    ----------
    table : float array, shape (N, T)
    top_percent : float
        p, in (0, 100): roughly the share of the pool, in percent, that each task votes for.

    Returns
    -------
    uint8 array, shape (N, T)
    """
    if not 0 < top_percent < 100:
        raise InputError(f"top_percent {top_percent} is not in (0, 100)")
    exact = table.astype(np.float64)
    return (exact >= np.percentile(exact, 100 - top_percent, axis=0)).astype(np.uint8)


def mean_rank(table: np.ndarray) -> np.ndarray:
    """Average over tasks the normalised rank of each sample's influence: (N, T) to float64 (N,).

    A task's normalised rank is (r - 1) / (N - 1), where r is counted from 1 at its lowest influence
    and averaged over ties: 1 for the most influential sample, 0 for the least (and 1 if N = 1).
    Ranks are summed as integers: samples whose ranks have equal sums are exactly equal.
    """
    n_pool, n_tasks = table.shape
    if n_pool == 1:
        return np.ones(1)
    ranks = pd.DataFrame(table).rank().to_numpy()  # averaged ranks end in .0 or .5
    doubled = np.rint(2 * ranks).astype(np.int64)
    return (doubled.sum(axis=1) - 2 * n_tasks) / (2 * n_tasks * (n_pool - 1))


def mean_z_score(table: np.ndarray) -> np.ndarray:
    """Average over tasks each sample's standardised influence: (N, T) to float64 (N,).

    It uses the population standard deviation, so no column may be constant, except that the z-score
    of a single sample is 0. Sums are correctly rounded, hence the same for any order of the rows.
    """
    n_pool, n_tasks = table.shape
    if n_pool == 1:
        return np.zeros(1)
    total = np.zeros(n_pool)
    for column in table.T.astype(np.float64):
        centred = column - math.fsum(column.tolist()) / n_pool
        total += centred / math.sqrt(math.fsum(np.square(centred).tolist()) / n_pool)
    return total / n_tasks


def aggregate(table: np.ndarray, aggregator: str) -> np.ndarray:
    """Score samples by an aggregator: (N, T) to float64 (N,), higher is better.

    The aggregator is ``mean`` (of z-scores), ``max`` (of plain influences), ``mean_rank`` or
    ``single:<task>``, for which the table has only that task's column.
    """
    if aggregator == "mean":
        return mean_z_score(table)
    if aggregator == "mean_rank":
        return mean_rank(table)
    if aggregator == "max" or (aggregator.startswith("single:") and table.shape[1] == 1):
        return table.max(axis=1).astype(np.float64)
    raise InputError(f"aggregator {aggregator!r} has no scores over {table.shape[1]} tasks")


def round_robin(
    table: np.ndarray, budget: int, sample_ids: Sequence[str], ties: Sequence[ArrayLike] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Let tasks choose in turn, each its most influential sample that is not yet taken.

    Parameters
    ----------
    table : float array, shape (N, T)
        Tasks choose in the order of the columns.
    budget : int
        At most N.
    sample_ids, ties
        Tie-breaks within a task, as in `ordering.top`.

    Returns
    -------
    rows : int64 array, shape (budget,)
        In the order chosen.
    scores : float64 array, shape (budget,)
        Influence of each on the task that chose it.
    """
    n_pool, n_tasks = table.shape
    if budget > n_pool:
        raise ValueError(f"a budget of {budget} does not fit a pool of {n_pool} samples")
    # A task's first `budget` samples suffice: the others can take at most budget - 1 of them.
    orders = [top(column, budget, sample_ids, ties).tolist() for column in table.T]
    waiting = [iter(order) for order in orders]
    taken: dict[int, int] = {}  # row -> task that chose it, in the order chosen
    while len(taken) < budget:
        task = len(taken) % n_tasks
        row = next(row for row in waiting[task] if row not in taken)
        taken[row] = task
    rows = np.fromiter(taken, dtype=np.int64, count=budget)
    tasks = np.fromiter(taken.values(), dtype=np.int64, count=budget)
    return rows, table[rows, tasks].astype(np.float64)
