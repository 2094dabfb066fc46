"""ICONS: samples that many tasks agree on.

References
----------
.. [1] Wu et al., ICONS: Influence Consensus for Vision-Language Data Selection, arXiv:2501.00654.
"""

import numpy as np
import pandas as pd

from vlselect import voting
from vlselect.budget import Selection, top


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    aggregator: str = "vote",
    tie_break: str = "mean_rank",
) -> Selection:
    """Choose the samples with the most votes, or the best by another aggregator.

    Parameters
    ----------
    pool : DataFrame
        Columns row, sample_id; in row order.
    signals : dict
        For the aggregator ``vote``, ``votes``: DataFrame with the columns votes, mean_rank. For
        every other one ``influence``: dict of voting task to DataFrame with the column influence,
        in the order in which the tasks take turns.
    budget : int
    seed : int
        Not used: nothing is drawn.
    aggregator : {"vote", "mean", "max", "mean_rank", "round_robin", "single:<task>"}
    tie_break : {"mean_rank", "index"}
        ``mean_rank``: the higher mean over tasks of the normalised rank, then the smaller sample
        id. ``index``: the smaller pool row.

    Returns
    -------
    Selection
        Scores are votes, or the aggregator's scores; in ``round_robin``, the influence on the
        task that chose the sample.

    Raises
    ------
    ValueError
        If aggregator, tie-break or signals are not as above, or a task cannot rank the pool.
    """
    if tie_break not in voting.TIE_BREAKS:
        raise ValueError(f"tie_break {tie_break!r} is not one of {voting.TIE_BREAKS}")
    sample_ids = pool["sample_id"].to_numpy(object)
    if aggregator == "vote":
        if "votes" not in signals:
            raise ValueError("aggregator 'vote' needs the signal 'votes'")
        scores = signals["votes"]["votes"].to_numpy(np.float64)
        ranks = signals["votes"]["mean_rank"].to_numpy(np.float64)
    else:
        table = _influence_table(signals, aggregator)
        ranks = voting.mean_rank(table)
    ties = [ranks] if tie_break == "mean_rank" else [-np.arange(len(pool))]
    if aggregator == "round_robin":
        return Selection(*voting.round_robin(table, budget, sample_ids, ties))
    if aggregator != "vote":
        scores = voting.aggregate(table, aggregator)
    rows = top(scores, budget, sample_ids, ties)
    return Selection(rows, scores[rows])


def _influence_table(signals: dict, aggregator: str) -> np.ndarray:
    """Put the influences that an aggregator looks at side by side: (N, T) float32."""
    influence = signals.get("influence", {})
    if aggregator.startswith("single:"):
        task = aggregator.removeprefix("single:")
        influence = {task: influence[task]} if task in influence else {}
    if not influence:
        raise ValueError(f"aggregator {aggregator!r} has no table for it in 'influence'")
    table = np.column_stack([frame["influence"].to_numpy() for frame in influence.values()])
    voting.require_informative(table, list(influence))
    return table
