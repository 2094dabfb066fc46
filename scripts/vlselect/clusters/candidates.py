"""Pairs of samples that may be near: compared in few directions, list with list.

An orthogonal projection makes no distance larger, so no near pair is lost in the leading directions
of the features, and few others come as near there. k-means puts the samples into lists; each sample
is compared with the lists nearest to it, by one matrix product for all that are compared with a
list.
"""

import logging
from collections.abc import Iterator

import faiss
import numpy as np

from vlselect.clusters import kmeans
from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.neighbours import POINTS_PER_LIST
from vlselect.core.log import progress

logger = logging.getLogger(__name__)

SAMPLE = 2048  # rows that the directions come from
HELD = 0.9  # of their variance
FEWEST = 64  # directions
ITERATIONS = 10
PRODUCTS = 1 << 22  # at a time: 16 MiB


def candidate_pairs(
    embeddings: Embeddings, radius: float, *, lists: int, probes: int, memory_gb: float, seed: int
) -> Iterator[np.ndarray]:
    """Find pairs of samples whose squared distance may be at most `radius`.

    Parameters
    ----------
    embeddings : Embeddings (N, d)
    radius : float
        A squared distance; products are rounded to float32.
    lists : int
        With one, all samples are compared with all, and no pair is missed.
    probes : int
        Nearest lists that a sample is compared with.
    memory_gb : float
        Most gigabytes for the samples that the lists are trained on, at four bytes a value.
    seed : int
        Of the lists.

    Yields
    ------
    int64 array, shape (m, 2)
        Places of two samples. A pair comes at most twice, once from each of them.
    """
    rows = in_leading_directions(embeddings)
    nearest = _nearest_lists(rows, lists, min(probes, lists), memory_gb, seed)
    # -|a - b|^2 / 2 is one product: of (a, -|a|^2 / 2, 1) and (b, 1, -|b|^2 / 2)
    half = -np.einsum("nd,nd->n", rows, rows)[:, None] / 2
    rows = np.concatenate([rows, half, np.ones_like(half)], axis=1)
    swapped = [*range(rows.shape[1] - 2), -1, -2]
    blocks = list(_blocks(nearest))
    for members, asking in progress(blocks, description="near-duplicates"):
        products = rows[asking] @ rows[members][:, swapped].T
        one, other = np.divmod(np.flatnonzero(products >= -radius / 2), len(members))
        pairs = np.column_stack([asking[one], members[other]])
        yield pairs[pairs[:, 0] != pairs[:, 1]]


def in_leading_directions(embeddings: Embeddings) -> np.ndarray:
    """Project rows to the directions that hold nine tenths of their variance, 64 at least.

    The directions are orthonormal, the leading ones of up to 2,048 samples about their mean.
    Returns a float32 array, shape (N, m).
    """
    n, width = embeddings.shape
    drawn = embeddings[np.unique(np.linspace(0, n - 1, min(SAMPLE, n)).astype(np.int64))]
    mean = drawn.mean(axis=0, dtype=np.float64)
    centred = drawn - mean
    variances, mixtures = np.linalg.eigh(centred @ centred.T)  # ascending
    held = np.cumsum(variances[::-1])
    count = max(FEWEST, int(np.searchsorted(held, HELD * held[-1])) + 1)
    directions, _ = np.linalg.qr(centred.T @ mixtures[:, ::-1][:, :count])
    directions = directions.astype(np.float32)
    rows = np.empty((n, directions.shape[1]), np.float32)
    for start, block in embeddings.blocks(kmeans.ROWS):
        rows[start : start + len(block)] = (block - mean.astype(np.float32)) @ directions
    logger.info("compared in %d of %d directions", rows.shape[1], width)
    return rows


def _nearest_lists(
    rows: np.ndarray, lists: int, probes: int, memory_gb: float, seed: int
) -> np.ndarray:
    """Train lists on rows (N, m); return those nearest to each row, int32 (N, probes)."""
    n, width = rows.shape
    if lists == 1:
        return np.zeros((n, 1), np.int32)
    # half of the memory, because these rows are float32
    places = kmeans.training_rows(n, width, lists, POINTS_PER_LIST, memory_gb / 2, seed)
    settings = faiss.ClusteringParameters()
    settings.niter, settings.seed = ITERATIONS, seed
    settings.min_points_per_centroid, settings.max_points_per_centroid = 1, len(places)
    centroids = faiss.IndexFlatL2(width)
    faiss.Clustering(width, lists, settings).train(rows[places], centroids)
    nearest = np.empty((n, probes), np.int32)
    for start in range(0, n, kmeans.ROWS):
        here = slice(start, start + kmeans.ROWS)
        nearest[here] = centroids.search(rows[here], probes)[1]
    return nearest


def _blocks(nearest: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the members of each list and some samples to compare with them, as places."""
    probes = nearest.shape[1]
    order = np.argsort(nearest, axis=None, kind="stable")  # by list, then by place
    for here in np.split(order, np.cumsum(np.bincount(nearest.ravel()))[:-1]):
        members, asking = here[here % probes == 0] // probes, here // probes
        if len(members):
            step = max(1, PRODUCTS // len(members))
            for start in range(0, len(asking), step):
                yield members, asking[start : start + step]
