"""SemDeDup: one of each group of semantic near-duplicates; the budget sets the threshold.

References
----------
.. [1] Abbas et al., SemDeDup: Data-efficient learning at web-scale through semantic
   deduplication, arXiv:2303.09540, section 3.
"""

import logging

import numpy as np
import pandas as pd

from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.prototypes import nearest_prototype
from vlselect.core.ordering import top
from vlselect.core.selection import Selection
from vlselect.methods.maths.rankings import require
from vlselect.methods.maths.semdedup_thresholds import ALONE, tolerance

logger = logging.getLogger(__name__)


def score(
    pool: pd.DataFrame,
    signals: dict,
    seed: int,
    *,
    n_clusters: int | None,
    iterations: int,
    points_per_centroid: int,
    memory_gb: float,
    first: str,
) -> np.ndarray:
    """Compute the largest epsilon at which each sample stays.

    Parameters
    ----------
    signals : dict
        ``last_token``: ShardedArray (N, d), hidden states.
    n_clusters, iterations, points_per_centroid, memory_gb
        Of the k-means, which also uses `seed`; see `prototypes.nearest_prototype`.
    first : {"hard", "easy"}
        Which samples of a cluster come first: see `semdedup_thresholds.tolerance`.

    Returns
    -------
    float32 array, shape (N,)
        1 - highest cosine to an earlier sample of the cluster, in [0, 2]; 2 for the first. No score
        depends on the order of the pool.
    """
    ids = pool["sample_id"].to_numpy(object)
    embeddings = Embeddings(require(signals, "last_token", "semdedup"), ids, normalise=True)
    cluster, distance = nearest_prototype(
        embeddings,
        n_clusters,
        iterations=iterations,
        points_per_centroid=points_per_centroid,
        memory_gb=memory_gb,
        seed=seed,
    )
    return tolerance(embeddings, cluster, distance, first)[embeddings.places].astype(np.float32)


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int) -> Selection:
    """Keep exactly the budget by solving for epsilon; the least similar samples come first.

    A sample stays for every epsilon up to its score, so the samples with the `budget` highest
    scores stay at the lowest score among them. If several samples have that score, every epsilon
    keeps too many or too few, and sample ids decide among them.
    """
    scores = require(signals, "scores", "semdedup")["score"].to_numpy()
    rows = top(scores, budget, pool["sample_id"].to_numpy(object))
    if budget and scores[rows[-1]] >= ALONE:
        logger.warning("a budget of %d is less than the number of clusters: ids decide", budget)
    elif budget:
        logger.info("epsilon %.6f keeps %d samples", scores[rows[-1]], budget)
    return Selection(rows, scores[rows])
