"""Samples that single validation samples are most similar to, the tasks in turn.

References
----------
.. [1] Nayak et al., A Critical Look at Targeted Instruction Selection, arXiv:2602.14696.
.. [2] Ivison et al., RDS+, arXiv:2503.01807 (turns of tasks).
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from vlselect.core.selection import Selection
from vlselect.gradients import voting
from vlselect.methods.maths import targets


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    selector: str,
    tasks: Mapping[str, Sequence[str]],
) -> Selection:
    """Choose the samples whose gradients are most similar to those of validation samples.

    Parameters
    ----------
    signals : dict
        ``gradients``: ShardedArray (N, k), and ``validation``: dict of task to ShardedArray
        (n_val, k). For ``round_robin_tasks``, ``influence``: dict of voting task to DataFrame with
        the column influence.
    selector : {"round_robin", "round_robin_tasks", "bids"}
        ``round_robin``: tasks take turns, and inside a task its validation samples, each taking its
        most similar sample that is left. ``round_robin_tasks``: tasks take turns, each by its mean
        influence. ``bids``: see `turns.bids`.
    tasks : mapping of str to sequence of str
        Each voting task's validation sets, in the order of the turns.

    Returns
    -------
    Selection
        Scores are the cosine with the validation sample (the influence on the task, the gain of the
        validation sample) that chose.
    """
    sample_ids = pool["sample_id"].to_numpy(object)
    if selector in targets.SELECTORS:
        gradients, validation = signals["gradients"], signals["validation"]
        return targets.choose(
            gradients, validation, sample_ids, budget, selector=selector, tasks=tasks
        )
    if "table" not in signals:
        signals = prepare(pool, signals, selector=selector)
    table = signals["table"].drop(columns="row").to_numpy()
    return Selection(*voting.round_robin(table, budget, sample_ids))


def prepare(pool: pd.DataFrame, signals: dict, *, selector: str) -> dict:
    """Add the signal ``table`` (DataFrame row and a column for each task) for tasks in turn.

    InputError if one cannot rank the whole pool.
    """
    if selector in targets.SELECTORS:
        return signals
    influence = signals["influence"]
    values = voting.influence_table(influence)
    voting.require_informative(values, list(influence))
    table = pd.DataFrame(values, columns=list(influence))
    table.insert(0, "row", range(len(pool)))
    return signals | {"table": table}
