"""Self-supervised prototypes: samples far from the centroid of their cluster, or close to it.

References
----------
.. [1] Sorscher et al., Beyond neural scaling laws: beating power law scaling via data pruning,
   arXiv:2206.14486, section 5 (k-means prototypes; keep the hard samples, or the easy ones if
   data are scarce).
"""

import numpy as np
import pandas as pd

from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.prototypes import nearest_prototype
from vlselect.core.errors import InputError
from vlselect.core.selection import Selection
from vlselect.methods.maths.rankings import keep_part, require

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
    """Compute each sample's distance, 1 - cosine, to the prototype of its cluster.

    Parameters
    ----------
    signals : dict
        ``last_token``: ShardedArray (N, d), hidden states.
    n_clusters, iterations, points_per_centroid, memory_gb
        Of the k-means, which also uses `seed`; see `prototypes.nearest_prototype`.

    Returns
    -------
    float32 array, shape (N,)
        In [0, 2]; higher is harder. No score depends on the order of the pool.
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
    """Keep the samples farthest from their prototypes (``hard``), or the closest (``easy``)."""
    if keep not in KEEP:
        raise InputError(f"keep {keep!r} is not one of {tuple(KEEP)}")
    scores = require(signals, "scores", "self_sup")["score"].to_numpy()
    return keep_part(scores, budget, pool["sample_id"].to_numpy(object), KEEP[keep])
