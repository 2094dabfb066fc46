"""Numbers of samples by number of votes."""

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
