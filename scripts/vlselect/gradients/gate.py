"""The gate: in each group of samples that serve a task, those with the highest loss are left out.

A model that has learnt a task is most surprised by its wrong answers. Losses of different tasks do
not compare, so each group loses the same share of its own samples.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from vlselect.core import log, ordering
from vlselect.core.store import ShardedArray
from vlselect.gradients import influence

NEAREST = 5  # validation samples of a task that a sample is compared with: the most similar ones
OUTER = 0.05  # share of a task's validation samples that count as unlike the rest of them


def nearest_tasks(
    pool: ShardedArray,
    validation: Mapping[str, ShardedArray],
    tasks: Mapping[str, Sequence[str]],
) -> np.ndarray:
    """Find the task that each sample of the pool is most similar to: int64 (N,); see `nearest`."""
    return nearest(pool, validation, tasks)[0]


def nearest(
    pool: ShardedArray,
    validation: Mapping[str, ShardedArray],
    tasks: Mapping[str, Sequence[str]],
    barred: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the task that each sample of the pool is most similar to, and how similar it is.

    The similarity to a task is the mean of the `NEAREST` highest cosines with its validation
    gradients, or of all where it has fewer. The matrix of all cosines is never held.

    Parameters
    ----------
    pool : ShardedArray, shape (N, k)
        Projected gradients of the pool, unit rows; those of refused samples count as zeros.
    validation : mapping of str to ShardedArray, shapes (n_val, k)
        Those of each validation set, of the same model and projection.
    tasks : mapping of str to sequence of str
        The validation sets of each task. Equally similar to several: the first of them.
    barred : bool array, shape (N, T), optional
        Tasks that do not come into question for a sample.

    Returns
    -------
    places : int64 array, shape (N,)
        The tasks' places.
    similarities : float64 array, shape (N,)
        -inf where all tasks are barred.

    Raises
    ------
    InputError
        If gradients are not comparable, not finite, or those of a validation sample are zero.
    """
    influence.require_comparable({"pool": pool, **validation})
    targets, owned = influence.unit_gradients(validation, tasks)
    places, similarities = np.empty(len(pool), dtype=np.int64), np.empty(len(pool))
    n_blocks = -(-len(pool) // influence.ROWS)
    for start, (cosines,) in log.progress(
        influence.products(pool, [targets]), n_blocks, "groups of samples"
    ):
        means = np.array([mean_of_highest(cosines[:, own.start : own.stop]) for own in owned])
        block = slice(start, start + len(cosines))
        if barred is not None:
            means[barred[block].T] = -np.inf
        places[block] = np.argmax(means, axis=0)  # the first of equals
        similarities[block] = np.max(means, axis=0)
    return places, similarities


def within_tasks(
    validation: Mapping[str, ShardedArray], tasks: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Compare each task's validation samples with the others of the task, and with other tasks'.

    Returns
    -------
    least : float64 array, shape (T,)
        How similar nearly all are to the others: the quantile `OUTER` of their similarities, as in
        `nearest`, equal ones taken once; -1, which every sample reaches, where there are no others.
    faithful : float64 array, shape (T,)
        The share of them that are most similar to the others of their own task; 1 where there are
        none.
    """
    targets, owned = influence.unit_gradients(validation, tasks)
    least, faithful = np.full(len(owned), -1.0), np.ones(len(owned))
    for place, own in enumerate(owned):
        rows = targets[own.start : own.stop]
        if len(rows) > 1:
            cosines = rows @ targets.T  # (n, all)
            means = [mean_of_highest(cosines[:, one.start : one.stop]) for one in owned]
            means[place] = _to_others(rows)
            faithful[place] = (np.argmax(means, axis=0) == place).mean()
        distinct = np.unique(rows, axis=0)
        if len(distinct) > 1:
            least[place] = np.quantile(_to_others(distinct), OUTER)
    return least, faithful


def _to_others(rows: np.ndarray) -> np.ndarray:
    """Return how similar each of several unit rows is to the others: float64 (n,)."""
    cosines = rows @ rows.T
    return mean_of_highest(cosines[~np.eye(len(rows), dtype=bool)].reshape(len(rows), -1))


def mean_of_highest(values: np.ndarray) -> np.ndarray:
    """Average the `NEAREST` highest values of each row, or all of fewer: (b, C) to float64 (b,)."""
    count = min(NEAREST, values.shape[1])
    highest = np.partition(values, -count, axis=1)[:, -count:]
    return np.sort(highest, axis=1).mean(axis=1, dtype=np.float64)


def gated(
    losses: np.ndarray, groups: np.ndarray, share: float, sample_ids: Sequence[str]
) -> np.ndarray:
    """Find in each group the share of samples with the highest loss, rounded: bool (n,).

    Parameters
    ----------
    losses : float array, shape (n,)
    groups : array, shape (n,)
        Group of each sample.
    share : float
        As `ordering.part` takes it.
    sample_ids : sequence of str, length n
        Of equal losses, that of the smaller id goes first.
    """
    ids = np.asarray(sample_ids, dtype=object)
    out = np.zeros(len(losses), dtype=bool)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        worst = ordering.top(losses[rows], ordering.part(len(rows), share), ids[rows])
        out[rows[worst]] = True
    return out


def fewest(n: int, share: float, n_groups: int) -> int:
    """Return how many of n samples are gated at least, however they are divided among groups.

    Rounding takes less than half a sample from each group: what is gated is more than
    share · n - n_groups / 2.
    """
    return max(0, math.floor(Fraction(str(share)) * n - Fraction(n_groups, 2)) + 1)
