"""Self-supervised prototypes: samples far from the centroid of their cluster, or close to it.

References
----------
.. [1] Sorscher et al., Beyond neural scaling laws: beating power law scaling via data pruning,
   arXiv:2206.14486, section 5 (k-means prototypes; keep the hard samples, or the easy ones where
   data are scarce).
"""

import numpy as np
import pandas as pd

from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.prototypes import nearest_prototype
from vlselect.methods.maths.rankings import keep_part, require
from vlselect.subsets.budget import Selection

KEEP = {"hard": "top", "easy": "bottom"}


def score(
    pool: pd.DataFrame,
    signals: dict,
    seed: int,
    *,
    n_clusters: int | None,
    iterations: int,
    points_per_centroid: int,
    memory_gb: float,
) -> np.ndarray:
    """Distance, 1 - cosine, of each sample to the prototype of its cluster.

    Parameters
    ----------
    pool : DataFrame
        Column sample_id; in row order. The order does not change any sample's score.
    signals : dict
        ``last_token``: ShardedArray (N, d), hidden states.
    seed : int
        Of the k-means.
    n_clusters, iterations, points_per_centroid, memory_gb
        Of the k-means, see `prototypes.nearest_prototype`.

    Returns
    -------
    float32 array, shape (N,)
        In [0, 2]; higher is harder.

    Raises
    ------
    ValueError
        If the signal is missing, does not fit the pool, or has a row that is zero or not finite.
    """
    ids = pool["sample_id"].to_numpy(object)
    embeddings = Embeddings(require(signals, "last_token", "self_sup"), ids, normalise=True)
    _, distance = nearest_prototype(
        embeddings,
        n_clusters,
        iterations=iterations,
        points_per_centroid=points_per_centroid,
        memory_gb=memory_gb,
        seed=seed,
    )
    return distance[embeddings.places]


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, keep: str) -> Selection:
    """Keep the samples that are farthest from their prototypes, or the closest.

    Parameters
    ----------
    pool : DataFrame
        Column sample_id; in row order.
    signals : dict
        ``scores``: DataFrame row, score, as `score` makes them.
    budget : int
    seed : int
        Not used: prototypes depend on the seed of `score`.
    keep : {"hard", "easy"}

    Returns
    -------
    Selection
        The farthest or the closest first, ties by sample id. Scores are distances.

    Raises
    ------
    ValueError
        If scores are missing or NaN, or `keep` is unknown.
    """
    if keep not in KEEP:
        raise ValueError(f"keep {keep!r} is not one of {tuple(KEEP)}")
    scores = require(signals, "scores", "self_sup")["score"].to_numpy()
    return keep_part(scores, budget, pool["sample_id"].to_numpy(object), KEEP[keep])
