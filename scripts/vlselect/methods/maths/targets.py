"""Validation samples choose from the pool, by the cosines of their gradients with the pool's.

References
----------
.. [1] Nayak et al., A Critical Look at Targeted Instruction Selection, arXiv:2602.14696.
.. [2] Xia et al., LESS, arXiv:2402.04333 (the gradients).
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vlselect.core.ordering import id_ranks
from vlselect.core.selection import Selection
from vlselect.core.store import ShardedArray
from vlselect.gradients import influence
from vlselect.methods.maths import turns

SELECTORS = ("round_robin", "bids")
SPARE = 64  # samples in a queue beyond four times a target's share of the budget


def choose(
    gradients: ShardedArray,
    validation: Mapping[str, ShardedArray],
    sample_ids: Sequence[str],
    budget: int,
    *,
    selector: str,
    tasks: Mapping[str, Sequence[str]],
) -> Selection:
    """Let validation samples choose; the matrix of all cosines is never held.

    Parameters
    ----------
    gradients : ShardedArray, shape (N, k)
        Projected gradients of the pool, unit rows.
    validation : mapping of str to ShardedArray, shapes (n_val, k)
        Those of each validation set, of the same model and projection; of any norm but zero.
    sample_ids : sequence of str, length N
        Ties: the smaller id first.
    budget : int
        At most N.
    selector : {"round_robin", "bids"}
        `turns.round_robin` or `turns.bids`.
    tasks : mapping of str to sequence of str
        In the order of their turns, each task's validation sets: a group has several.

    Returns
    -------
    Selection
        Scores are the cosine with the validation sample that chose, or its gain (`bids`).

    Raises
    ------
    InputError
        If gradients are not comparable, not finite, or zero.
    """
    influence.require_comparable({"pool": gradients, **validation})
    targets, owned = influence.unit_gradients(validation, tasks)
    ranks = id_ranks(sample_ids)

    def blocks() -> Iterable[tuple[int, np.ndarray]]:
        return ((row, found) for row, (found,) in influence.products(gradients, [targets]))

    queues = turns.Queues(blocks, ranks, SPARE + 4 * budget // len(targets))
    if selector == "round_robin":
        return Selection(*turns.round_robin(queues, owned, budget))
    mean, deviation = _moments(blocks(), len(sample_ids))
    deviation[deviation == 0] = 1  # equally similar to all of them: no gain in any

    def similarities(row: int) -> np.ndarray:
        return targets @ gradients[[row]][0].astype(np.float32)

    return Selection(*turns.bids(queues, similarities, mean, deviation, ranks, budget))


def _moments(
    blocks: Iterable[tuple[int, np.ndarray]], n_pool: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each target's similarities, float64 (C,)."""
    total, squares = 0.0, 0.0
    for _, block in blocks:
        exact = block.astype(np.float64)
        total, squares = total + exact.sum(axis=0), squares + np.square(exact).sum(axis=0)
    mean = total / n_pool
    return mean, np.sqrt(np.maximum(squares / n_pool - np.square(mean), 0))
