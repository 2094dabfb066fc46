"""Samples that single validation samples are most similar to, the tasks in turn.

References
----------
.. [1] Nayak et al., A Critical Look at Targeted Instruction Selection, arXiv:2602.14696.
.. [2] Xia et al., LESS, arXiv:2402.04333 (the gradients).
.. [3] Ivison et al., RDS+, arXiv:2503.01807 (turns of tasks).
.. [4] Dai et al., BIDS, arXiv:2501.12147.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.ordering import id_ranks
from vlselect.core.selection import Selection
from vlselect.gradients import influence, voting
from vlselect.methods.maths import turns

SPARE = 64  # samples in a queue beyond four times a target's share of the budget


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    selector: str,
    tasks: Mapping[str, Sequence[str]],
) -> Selection:
    """Choose the pool's samples nearest to the validation samples.

    The similarity of a pool sample and a validation sample is the cosine of their projected
    gradients.

    Parameters
    ----------
    signals : dict
        ``gradients``: ShardedArray (N, k), unit rows, and ``validation``: dict of task to
        ShardedArray (n_val, k). For ``round_robin_tasks``, ``influence``: dict of voting task to
        DataFrame with the column influence.
    selector : {"round_robin", "round_robin_tasks", "bids"}
        ``round_robin``: tasks take turns, and inside a task its validation samples, each taking its
        most similar sample that is left. ``round_robin_tasks``: tasks take turns, each by its mean
        influence. ``bids``: see `turns.bids`.
    tasks : mapping of task or group to its members in ``validation``
        In the order of the turns. The members of a group share its turns.

    Returns
    -------
    Selection
        Scores are the similarity to (the influence on, the gain of) whatever chose the sample.
    """
    ranks = id_ranks(pool["sample_id"])
    if selector == "round_robin_tasks":
        columns = [signals["influence"][task]["influence"].to_numpy() for task in tasks]
        table = np.column_stack(columns)
        voting.require_informative(table, list(tasks))
        return Selection(*voting.round_robin(table, budget, pool["sample_id"].to_numpy(object)))
    gradients, validation = signals["gradients"], signals["validation"]
    influence.require_comparable({"pool": gradients, **validation})
    targets, owned = _targets(validation, tasks)

    def blocks():
        for start, (similarities,) in influence.products(gradients, [targets]):
            yield start, similarities

    queues = turns.Queues(blocks, ranks, SPARE + 4 * budget // len(targets))
    if selector == "round_robin":
        return Selection(*turns.round_robin(queues, owned, budget))
    if selector == "bids":
        mean, deviation = _moments(blocks(), len(pool))
        if not (deviation > 0).all():
            raise InputError("a validation sample is equally similar to every sample of the pool")

        def similarities(row: int) -> np.ndarray:
            return targets @ gradients[[row]][0].astype(np.float32)

        return Selection(*turns.bids(queues, similarities, mean, deviation, ranks, budget))
    raise InputError(f"selector {selector!r} is not known")


def _targets(
    validation: Mapping, tasks: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, list[range]]:
    """Return all validation gradients at unit length, float32 (C, k), and those of each task.

    Raises InputError if one is zero, whose direction says nothing; names task and row.
    """
    found, owned, count = [], [], 0
    for members in tasks.values():
        first = count
        for task in members:
            rows = influence.all_gradients(validation[task])
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            if not norms.all():
                raise InputError(f"validation gradient {int(np.argmin(norms))} of {task} is zero")
            found.append(rows / norms)
            count += len(rows)
        owned.append(range(first, count))
    return np.concatenate(found), owned


def _moments(blocks, n_pool: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each target's similarities, float64 (C,)."""
    total, squares = 0.0, 0.0
    for _, block in blocks:
        exact = block.astype(np.float64)
        total, squares = total + exact.sum(axis=0), squares + np.square(exact).sum(axis=0)
    mean = total / n_pool
    return mean, np.sqrt(np.maximum(squares / n_pool - np.square(mean), 0))
