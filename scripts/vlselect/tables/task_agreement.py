"""Agreement of the influences and votes of each pair of tasks."""

import numpy as np
import pandas as pd


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
