"""Strata: each its share of a budget, and in each the highest scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from vlselect.core.ordering import proportional_split, top


def best_of_strata(
    scores: ArrayLike, strata: ArrayLike, budget: int, sample_ids: Sequence[str]
) -> np.ndarray:
    """Choose from every stratum its share, proportional to its size, by score.

    Parameters
    ----------
    scores : array, shape (N,)
        Higher is better; NaN is an error.
    strata : int array, shape (N,)
        From 0.
    budget : int
        At most N; shares are rounded by largest remainder, so that none of it is lost.
    sample_ids : sequence of str, length N
        Distinct; break ties.

    Returns
    -------
    int64 array, shape (budget,)
        Rows, the best first.
    """
    scores, ids = np.asarray(scores, dtype=np.float64), np.asarray(sample_ids, dtype=object)
    sizes = np.bincount(strata, minlength=1)
    members = np.split(np.argsort(strata, kind="stable"), np.cumsum(sizes)[:-1])
    shares = proportional_split(budget, sizes)
    chosen = [
        rows[top(scores[rows], int(share), ids[rows])]
        for rows, share in zip(members, shares, strict=True)
    ]
    rows = np.concatenate([np.empty(0, np.int64), *chosen])
    return rows[top(scores[rows], budget, ids[rows])]
