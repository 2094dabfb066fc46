"""Agreement of the tasks' influences and votes, and the samples with the most and fewest votes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vlselect.tables.declarations import Run

NOT_TASKS = ("row", "votes", "mean_rank")  # columns of the votes that belong to no task


def voters(votes: pd.DataFrame) -> list[str]:
    """Return the tasks that vote, in column order."""
    return [column for column in votes.columns if column not in NOT_TASKS]


def votes_histogram(
    votes: np.ndarray, n_tasks: int, subsets: Mapping[Run, np.ndarray]
) -> pd.DataFrame:
    """Count the samples with 0, 1, …, n_tasks votes, and how many of them each subset takes.

    Parameters
    ----------
    votes : int array, shape (N,)
        Votes of every pool sample.
    subsets : mapping of Run to int array
        Chosen rows of each subset.

    Returns
    -------
    DataFrame
        ``votes_histogram.csv``.
    """
    counts = np.bincount(votes, minlength=n_tasks + 1)
    if len(counts) > n_tasks + 1:
        raise ValueError(f"a sample has {len(counts) - 1} votes, but only {n_tasks} tasks vote")
    rows = []
    for run, chosen in subsets.items():
        taken = np.bincount(votes[chosen], minlength=n_tasks + 1)
        rows += [
            {
                "ratio": run.ratio,
                "seed": run.seed,
                "votes": value,
                "n": int(counts[value]),
                "share": counts[value] / len(votes),
                "selected": int(taken[value]),
            }
            for value in range(n_tasks + 1)
        ]
    return pd.DataFrame(rows)


def task_agreement(influence: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """Compare every pair of tasks: their influences and the samples they vote for.

    Both tables have N rows and a column for each voting task (votes: 0 or 1). Returns
    ``task_agreement.csv`` without the seed; a task is also paired with itself.
    """
    tasks = list(influence.columns)
    pearson = _correlations(influence.to_numpy(np.float64))
    spearman = _correlations(influence.rank(method="average").to_numpy(np.float64))
    voted = votes[tasks].to_numpy().astype(bool)
    rows = []
    for a, first in enumerate(tasks):
        for b in range(a, len(tasks)):
            either = int((voted[:, a] | voted[:, b]).sum())
            both = int((voted[:, a] & voted[:, b]).sum())
            rows.append(
                {
                    "task_a": first,
                    "task_b": tasks[b],
                    "spearman": spearman[a, b],
                    "pearson": pearson[a, b],
                    "jaccard": both / either if either else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _correlations(values: np.ndarray) -> np.ndarray:
    """Compute the Pearson correlation of columns: (N, T) → (T, T); NaN where one is constant."""
    centred = values - values.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    norms[np.ptp(values, axis=0) == 0.0] = np.nan
    return (centred / norms).T @ (centred / norms)


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
