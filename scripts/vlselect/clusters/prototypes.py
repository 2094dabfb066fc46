"""Prototypes of the pool: centroids of spherical k-means over the samples' features."""

import logging

import numpy as np

from vlselect.clusters import kmeans
from vlselect.clusters.embeddings import Embeddings

logger = logging.getLogger(__name__)


def nearest_prototype(
    embeddings: Embeddings,
    n_clusters: int | None,
    *,
    iterations: int,
    points_per_centroid: int,
    memory_gb: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster the pool and find the prototype of each sample's cluster.

    Parameters
    ----------
    embeddings : Embeddings (N, d)
        Unit rows.
    n_clusters : int or None
        K; None: one for every 66.5 samples.
    iterations : int
    points_per_centroid, memory_gb
        Limits on the training samples of k-means, see `kmeans.training_rows`.
    seed : int
        Of the initial centroids and of the draw of training samples.

    Returns
    -------
    cluster : int32 array, shape (N,)
        By place, not by row of the pool. Empty clusters are allowed; collapsed prototypes are
        logged as a warning.
    distance : float32 array, shape (N,)
        1 - cosine to the prototype, by place.

    Raises
    ------
    ValueError
        If there are fewer samples than clusters.
    """
    n, width = embeddings.shape
    count = n_clusters or kmeans.default_count(n)
    places = kmeans.training_rows(n, width, count, points_per_centroid, memory_gb, seed)
    samples = np.empty((len(places), width), np.float16)
    for start in range(0, len(places), kmeans.ROWS):
        here = slice(start, start + kmeans.ROWS)
        samples[here] = embeddings[places[here]]
    centroids = kmeans.train(samples, count, iterations, seed, "cpu")
    del samples
    cluster, distance = kmeans.assign(embeddings, centroids, "cpu")
    seen = kmeans.examine(centroids, np.bincount(cluster, minlength=count))
    logger.info(
        "%d clusters of %d samples: %d empty, %d equal to another, lowest cosine %.3f",
        count, n, seen.empty, seen.twins, seen.lowest_cosine,
    )  # fmt: skip
    for reason in seen.collapse:
        logger.warning("the prototypes do not separate the samples well: %s", reason)
    return cluster, distance
