"""Validation samples take turns, at samples that a model which has learnt their task finds likely.

What single validation samples are most similar to keeps every task and every kind of its answers in
the subset; their likeness says nothing of wrong answers, the loss does. Our own method: the turns
of `targeted` [1]_ within the gate of `vlselect.gradients.gate`.

References
----------
.. [1] Nayak et al., A Critical Look at Targeted Instruction Selection, arXiv:2602.14696.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.core.refused import RowsOf
from vlselect.core.selection import Selection
from vlselect.gradients import gate
from vlselect.methods.maths import targets


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    share: float,
    tasks: Mapping[str, Sequence[str]],
) -> Selection:
    """Let tasks take turns, and inside a task its validation samples, each at its most similar one.

    Samples with a high loss are chosen last, if the budget is larger than what is left without.

    Parameters
    ----------
    signals : dict
        ``losses``: ShardedArray (N,), of the model of the gradients; ``gradients``: ShardedArray
        (N, k); ``validation``: dict of validation set to ShardedArray (n_val, k).
    share : float
        Share of each task's own samples, those with the highest loss, that wait.
    tasks : mapping of str to sequence of str
        Each voting task's validation sets, in the order of the turns.

    Returns
    -------
    Selection
        Scores are the cosine with the validation sample that chose.
    """
    if "gate" not in signals:
        signals = prepare(pool, signals, share=share, tasks=tasks)
    ids = pool["sample_id"].to_numpy(object)
    gated = signals["gate"]["gated"].to_numpy()
    rows, scores = [], []
    for part in (np.flatnonzero(~gated), np.flatnonzero(gated)):
        count = min(budget - sum(map(len, rows)), len(part))
        if count:
            found = targets.choose(
                *(RowsOf(signals["gradients"], part), signals["validation"], ids[part], count),
                selector="round_robin",
                tasks=tasks,
            )
            rows.append(part[found.rows])
            scores.append(found.scores)
    return Selection(np.concatenate(rows), np.concatenate(scores))


def prepare(
    pool: pd.DataFrame, signals: dict, *, share: float, tasks: Mapping[str, Sequence[str]]
) -> dict:
    """Add the signal ``gate`` (DataFrame row, gated), which goes by the losses of whole groups."""
    groups = gate.nearest_tasks(signals["gradients"], signals["validation"], tasks)
    losses = signals["losses"][:]
    gated = gate.gated(losses, groups, share, pool["sample_id"].to_numpy(object))
    table = pd.DataFrame({"row": np.arange(len(pool)), "gated": gated})
    return signals | {"gate": table}
