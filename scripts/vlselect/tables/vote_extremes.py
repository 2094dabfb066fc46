"""The samples with the most and the fewest votes."""

import numpy as np


def extreme_rows(
    votes: np.ndarray, mean_rank: np.ndarray, eligible: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows with the most and with the fewest votes.

    Parameters
    ----------
    votes : int array, shape (N,)
        Votes of every pool sample.
    mean_rank : float array, shape (N,)
        Mean over tasks of the normalised rank of its influence; it orders samples with equally
        many votes.
    eligible : bool array, shape (N,)
        The samples to choose from (those with an image).
    count : int
        How many of each to return; fewer where there are not twice as many.

    Returns
    -------
    most, least : int arrays
        Rows, the most extreme first; no row is in both. Remaining ties: lowest row.
    """
    rows = np.flatnonzero(eligible)
    count = min(count, len(rows) // 2)
    most = rows[np.lexsort((rows, -mean_rank[rows], -votes[rows].astype(np.int64)))]
    least = rows[np.lexsort((rows, mean_rank[rows], votes[rows].astype(np.int64)))]
    least = least[~np.isin(least, most[:count])]
    return most[:count], least[:count]
