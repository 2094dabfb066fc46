"""Spread of a method's scores within each source, and the share of each source that it chose."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.tables.declarations import Run

QUANTILES = {"low": 0.05, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "high": 0.95}


def score_distribution(
    sources: Sequence[str], method: str, scores: np.ndarray, subsets: Mapping[Run, np.ndarray]
) -> pd.DataFrame:
    """Compute quantiles of a method's scores by source, and the share of each source that it chose.

    Parameters
    ----------
    sources : sequence of str, length N
        Source of every pool sample, in row order.
    method : str
        The method of the scores; subsets of other methods are skipped.
    scores : float array, shape (N,)
        NaN where a sample has no score.
    subsets : mapping of Run to int array
        Chosen rows of each subset made from these scores.

    Returns
    -------
    DataFrame
        ``score_distribution.csv`` without the seed, the largest source first (ties by name).
        Quantiles (linear interpolation) are NaN where no sample of the source has a score.

    Raises
    ------
    ValueError
        If there is not one score for each sample.
    """
    if np.shape(scores) != (len(sources),):
        raise ValueError(f"{method}: scores of shape {np.shape(scores)} for {len(sources)} samples")
    frame = pd.DataFrame({"source": list(sources), "score": np.asarray(scores, dtype=np.float64)})
    groups = frame.groupby("source", sort=False)
    facts = pd.DataFrame({"n": groups.size(), "n_scored": groups["score"].count()})
    for name, quantile in QUANTILES.items():
        facts[name] = groups["score"].quantile(quantile)
    order = sorted(facts.index, key=lambda source: (-facts.loc[source, "n"], source))
    facts = facts.loc[order]
    parts = []
    for ratio in dict.fromkeys(run.ratio for run in subsets if run.method == method):
        own = [r for run, r in subsets.items() if (run.method, run.ratio) == (method, ratio)]
        counts = [
            frame["source"].iloc[rows].value_counts().reindex(order, fill_value=0) for rows in own
        ]
        part = facts.assign(chosen=sum(counts) / len(own) / facts["n"])
        parts.append(part.rename_axis("source").reset_index())
        parts[-1].insert(0, "ratio", ratio)
        parts[-1].insert(0, "method", method)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
