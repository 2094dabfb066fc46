"""ICONS: samples that many tasks agree on.

References
----------
.. [1] Wu et al., ICONS: Influence Consensus for Vision-Language Data Selection, arXiv:2501.00654.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.ordering import top
from vlselect.core.selection import Selection
from vlselect.gradients import voting
from vlselect.methods.maths import targets


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    aggregator: str,
    tie_break: str,
    tasks: Mapping[str, Sequence[str]],
) -> Selection:
    """Choose the samples with the most votes, or the best by another aggregator.

    Parameters
    ----------
    signals : dict
        For the aggregator ``vote``, ``votes``: DataFrame with the columns votes, mean_rank. For
        ``round_robin`` and ``bids``, ``gradients`` and ``validation``, as in `targets.choose`. For
        every other one, ``influence``: dict of voting task to DataFrame with the column influence,
        in the order in which the tasks take turns.
    aggregator : {"vote", "mean", "max", "mean_rank", "round_robin", "round_robin_tasks", "bids", \
"single:<task>"}
        ``round_robin`` and ``bids``: as selectors of `targeted`, over single validation samples.
    tie_break : {"mean_rank", "index"}
        ``mean_rank``: the higher mean over tasks of the normalised rank, then the smaller sample
        id. ``index``: the smaller pool row. Single validation samples go by sample id.
    tasks : mapping of str to sequence of str
        Each voting task's validation sets, in the order of the turns.

    Returns
    -------
    Selection
        Scores are votes, or the aggregator's scores; for ``round_robin_tasks``, the influence on
        the task that chose the sample.
    """
    if tie_break not in voting.TIE_BREAKS:
        raise InputError(f"tie_break {tie_break!r} is not one of {voting.TIE_BREAKS}")
    sample_ids = pool["sample_id"].to_numpy(object)
    if aggregator in targets.SELECTORS:
        gradients, validation = signals["gradients"], signals["validation"]
        return targets.choose(
            gradients, validation, sample_ids, budget, selector=aggregator, tasks=tasks
        )
    if "consensus" not in signals:
        signals = prepare(pool, signals, aggregator=aggregator)
    scores, ranks = signals["consensus"][["score", "mean_rank"]].to_numpy(np.float64).T
    ties = [ranks] if tie_break == "mean_rank" else [-np.arange(len(pool))]
    if aggregator == "round_robin_tasks":
        table = voting.influence_table(signals["influence"])
        return Selection(*voting.round_robin(table, budget, sample_ids, ties))
    rows = top(scores, budget, sample_ids, ties)
    return Selection(rows, scores[rows])


def prepare(pool: pd.DataFrame, signals: dict, *, aggregator: str) -> dict:
    """Add the signal ``consensus`` (DataFrame row, score, mean_rank), which needs the whole pool.

    It holds the aggregator's scores and the ranks that break ties. Single validation samples need
    none.
    """
    if aggregator in targets.SELECTORS:
        return signals
    if aggregator == "vote":
        if "votes" not in signals:
            raise InputError("aggregator 'vote' needs the signal 'votes'")
        scores, ranks = signals["votes"][["votes", "mean_rank"]].to_numpy(np.float64).T
    else:
        influence = _used(signals, aggregator)
        table = voting.influence_table(influence)
        voting.require_informative(table, list(influence))
        ranks = voting.mean_rank(table)
        robin = aggregator == "round_robin_tasks"  # no scores: tasks choose in turn
        scores = ranks if robin else voting.aggregate(table, aggregator)
    consensus = {"row": np.arange(len(pool)), "score": scores, "mean_rank": ranks}
    return signals | {"consensus": pd.DataFrame(consensus)}


def _used(signals: dict, aggregator: str) -> dict[str, pd.DataFrame]:
    """Return the influences that an aggregator uses, by task."""
    influence = signals.get("influence", {})
    if aggregator.startswith("single:"):
        task = aggregator.removeprefix("single:")
        influence = {task: influence[task]} if task in influence else {}
    if not influence:
        raise InputError(f"aggregator {aggregator!r} has no table in 'influence'")
    return influence
