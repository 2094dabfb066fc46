"""How the tasks' influences and votes agree, and which samples they agree on."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vlselect.tables.declarations import Run

NOT_TASKS = ("row", "votes", "mean_rank")  # the columns of votes that are no task's


def voters(votes: pd.DataFrame) -> list[str]:
    """The tasks that vote, in the order of the table's columns."""
    return [column for column in votes.columns if column not in NOT_TASKS]


def votes_histogram(
    votes: np.ndarray, n_tasks: int, subsets: Mapping[Run, np.ndarray]
) -> pd.DataFrame:
    """Count the samples with 0, 1, … n_tasks votes, and how many of them each subset takes.

    Parameters
    ----------
    votes : int array, shape (N,)
        Votes of every pool sample.
    n_tasks : int
        Number of tasks that vote.
    subsets : mapping of Run to int array
        Chosen rows, for each ratio and seed of interest.

    Returns
    -------
    DataFrame
        The columns of ``votes_histogram.csv``.
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

    Parameters
    ----------
    influence : DataFrame, N rows
        One column of influences per voting task.
    votes : DataFrame, N rows
        The same columns, 0 or 1.

    Returns
    -------
    DataFrame
        The columns of ``task_agreement.csv`` but the seed, a row for each pair (a task with itself
        included), in column order.
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
    """Pearson correlation of columns: (N, T) float64 → (T, T); NaN where one is constant."""
    centred = values - values.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    norms[np.ptp(values, axis=0) == 0.0] = np.nan
    return (centred / norms).T @ (centred / norms)


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
