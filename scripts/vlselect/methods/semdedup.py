"""SemDeDup: of samples that mean the same, one; how alike is too alike follows from the budget.

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
from vlselect.methods.maths.rankings import require
from vlselect.methods.maths.thresholds import ALONE, tolerance
from vlselect.subsets.budget import Selection, top

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
    """Largest epsilon at which each sample stays.

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
    first : {"hard", "easy"}
        Which samples of a cluster the others are compared with: see `deduplication.tolerance`.

    Returns
    -------
    float32 array, shape (N,)
        1 - highest cosine to an earlier sample of the cluster, in [0, 2]; 2 for the first.

    Raises
    ------
    ValueError
        If the signal is missing, does not fit the pool, or has a row that is zero or not finite.
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
    """Keep exactly the budget: solve for epsilon.

    A sample stays for every epsilon up to its score, so the samples with the `budget` highest
    scores are those that stay at the epsilon of the last of them. Where several have just that
    score, any epsilon keeps too many or too few, and sample ids decide among them.

    Parameters
    ----------
    pool : DataFrame
        Column sample_id; in row order.
    signals : dict
        ``scores``: DataFrame row, score, as `score` makes them.
    budget : int
    seed : int
        Not used: clusters depend on the seed of `score`.

    Returns
    -------
    Selection
        The least alike first, ties by sample id.

    Raises
    ------
    ValueError
        If scores are missing or NaN.
    """
    scores = require(signals, "scores", "semdedup")["score"].to_numpy()
    rows = top(scores, budget, pool["sample_id"].to_numpy(object))
    if budget and scores[rows[-1]] >= ALONE:
        logger.warning("%d samples are fewer than there are clusters: ids decide", budget)
    elif budget:
        logger.info("epsilon %.6f keeps %d samples", scores[rows[-1]], budget)
    return Selection(rows, scores[rows])
