"""The samples with the most and the fewest votes."""

import numpy as np


def extreme_rows(
    votes: np.ndarray, mean_rank: np.ndarray, eligible: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find up to `count` rows with the most and as many with the fewest votes.

    Parameters
    ----------
    votes : int array, shape (N,)
    mean_rank : float array, shape (N,)
        Mean over tasks of the normalised rank of a sample's influence; breaks ties of votes.
    eligible : bool array, shape (N,)
        Samples to choose from.

    Returns
    -------
    most, least : int arrays
        Disjoint, of equal length, the most extreme rows first. Remaining ties: lowest row.
    """
    rows = np.flatnonzero(eligible)
    count = min(count, len(rows) // 2)
    most = rows[np.lexsort((rows, -mean_rank[rows], -votes[rows].astype(np.int64)))]
    least = rows[np.lexsort((rows, mean_rank[rows], votes[rows].astype(np.int64)))]
    least = least[~np.isin(least, most[:count])]
    return most[:count], least[:count]
