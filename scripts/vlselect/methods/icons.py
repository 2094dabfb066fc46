"""ICONS: samples that many tasks agree on.

References
----------
.. [1] Wu et al., ICONS: Influence Consensus for Vision-Language Data Selection, arXiv:2501.00654.
"""

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.ordering import top
from vlselect.core.selection import Selection
from vlselect.gradients import voting


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    aggregator: str,
    tie_break: str,
) -> Selection:
    """Choose the samples with the most votes, or the best by another aggregator.

    Parameters
    ----------
    signals : dict
        For the aggregator ``vote``, ``votes``: DataFrame with the columns votes, mean_rank. For
        every other one, ``influence``: dict of voting task to DataFrame with the column influence,
        in the order in which the tasks take turns.
    aggregator : {"vote", "mean", "max", "mean_rank", "round_robin", "single:<task>"}
    tie_break : {"mean_rank", "index"}
        ``mean_rank``: the higher mean over tasks of the normalised rank, then the smaller sample
        id. ``index``: the smaller pool row.

    Returns
    -------
    Selection
        Scores are votes, or the aggregator's scores; for ``round_robin``, the influence on the task
        that chose the sample.
    """
    if tie_break not in voting.TIE_BREAKS:
        raise InputError(f"tie_break {tie_break!r} is not one of {voting.TIE_BREAKS}")
    sample_ids = pool["sample_id"].to_numpy(object)
    if "consensus" not in signals:
        signals = prepare(pool, signals, aggregator=aggregator)
    scores, ranks = signals["consensus"][["score", "mean_rank"]].to_numpy(np.float64).T
    ties = [ranks] if tie_break == "mean_rank" else [-np.arange(len(pool))]
    if aggregator == "round_robin":
        table, _ = _influence_table(signals, aggregator)
        return Selection(*voting.round_robin(table, budget, sample_ids, ties))
    rows = top(scores, budget, sample_ids, ties)
    return Selection(rows, scores[rows])


def prepare(pool: pd.DataFrame, signals: dict, *, aggregator: str) -> dict:
    """Add the signal ``consensus`` (DataFrame row, score, mean_rank), which needs the whole pool.

    It holds the aggregator's scores and the ranks that break ties.
    """
    if aggregator == "vote":
        if "votes" not in signals:
            raise InputError("aggregator 'vote' needs the signal 'votes'")
        scores, ranks = signals["votes"][["votes", "mean_rank"]].to_numpy(np.float64).T
    else:
        table, tasks = _influence_table(signals, aggregator)
        voting.require_informative(table, tasks)
        ranks = voting.mean_rank(table)
        robin = aggregator == "round_robin"  # no scores: tasks choose in turn
        scores = ranks if robin else voting.aggregate(table, aggregator)
    consensus = {"row": np.arange(len(pool)), "score": scores, "mean_rank": ranks}
    return signals | {"consensus": pd.DataFrame(consensus)}


def _influence_table(signals: dict, aggregator: str) -> tuple[np.ndarray, list[str]]:
    """Return the influences that an aggregator uses, (N, T) float32, and their tasks."""
    influence = signals.get("influence", {})
    if aggregator.startswith("single:"):
        task = aggregator.removeprefix("single:")
        influence = {task: influence[task]} if task in influence else {}
    if not influence:
        raise InputError(f"aggregator {aggregator!r} has no table in 'influence'")
    table = np.column_stack([frame["influence"].to_numpy() for frame in influence.values()])
    return table, list(influence)
