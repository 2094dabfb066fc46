"""Spherical k-means over stored activations, and checks of its result.

Training uses float32 for few rows. For many, faiss decodes the stored float16 in blocks, twice in
every iteration, to the same centroids. Assignment streams over the whole array. Block sizes are
constants, so the last bits of a centroid depend only on them, the threads, the data and the seed.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np

from vlselect.clusters.kernel import inner, squared_norms
from vlselect.core import half
from vlselect.core.errors import InputError
from vlselect.core.log import progress
from vlselect.core.store import ShardedArray

logger = logging.getLogger(__name__)

ROWS = 4096
VALUES = 1 << 28  # up to this many, training uses float32: 1 GiB
SAMPLES_PER_CLUSTER = 66.5  # COINCIDE's setting: 10,000 clusters of 665k samples
DEVICES = ("cpu", "gpu")
ENOUGH_PER_CENTROID = 39  # below it, faiss itself would warn
NEAR_ONE = 0.99
EQUAL = 1 - 1e-6


def default_count(n_samples: int) -> int:
    """Return the default number of clusters: one for 66.5 samples, as in COINCIDE."""
    return max(1, round(n_samples / SAMPLES_PER_CLUSTER))


def training_rows(
    n_rows: int, width: int, clusters: int, per_centroid: int, memory_gb: float, seed: int
) -> np.ndarray:
    """Choose the rows to train k-means on.

    These are all rows, or, if they exceed `per_centroid` for each cluster or the memory, a draw
    without replacement. A draw that memory makes smaller is logged.

    Parameters
    ----------
    n_rows, width : int
        Shape of the array.
    clusters : int
        K, at most `n_rows`.
    per_centroid : int
        Most rows per cluster.
    memory_gb : float
        Most gigabytes (10^9 bytes) for the rows, at two bytes a value.
    seed : int

    Returns
    -------
    int64 array, ascending

    Raises
    ------
    ValueError
        If there are fewer rows than clusters, or fewer fit in memory.
    """
    if not 1 <= clusters <= n_rows:
        raise InputError(f"cannot make {clusters} clusters from {n_rows} samples")
    wanted = min(n_rows, clusters * per_centroid)
    room = int(memory_gb * 1e9 / (2 * width))
    if room < clusters:
        raise InputError(
            f"{memory_gb} GB hold {room} rows of width {width}, too few to train {clusters} "
            "clusters: raise memory_gb"
        )
    if room < wanted:
        logger.warning(
            "training on %d rows instead of %d: %s GB (memory_gb) hold no more", room, wanted,
            memory_gb,
        )  # fmt: skip
    taken = min(wanted, room)
    if taken < ENOUGH_PER_CENTROID * clusters:
        logger.warning("only %.1f training rows per centroid", taken / clusters)
    if taken == n_rows:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, taken, replace=False))


def require_finite(activations: np.ndarray, rows: Sequence[int] | np.ndarray) -> None:
    """Raise ValueError for the first of `rows` whose activations (n, d) hold NaN or infinity."""
    finite = half.finite_rows(activations)
    if not finite.all():
        raise InputError(f"the activations of row {rows[int(np.argmin(finite))]} are not finite")


def train(
    samples: np.ndarray, clusters: int, iterations: int, seed: int, device: str
) -> np.ndarray:
    """Train unit centroids by spherical k-means with faiss; samples are assigned by inner product.

    Parameters
    ----------
    samples : float16 array, shape (n, d)
        n at least `clusters`.
    clusters, iterations, seed : int
        The initial centroids are `clusters` of the samples, drawn with the seed. An empty cluster
        is refilled by splitting a large one.
    device : {"cpu", "gpu"}
        `gpu` needs a GPU and faiss's GPU build.

    Returns
    -------
    float32 array, shape (clusters, d)

    Raises
    ------
    ValueError
        If the device is unknown or not available.

    References
    ----------
    COINCIDE (arXiv 2406.10995), section 3.2; Johnson et al., arXiv 1702.08734 (faiss).
    """
    settings = faiss.ClusteringParameters()
    settings.niter, settings.seed, settings.spherical = iterations, seed, True
    settings.min_points_per_centroid = 1
    settings.max_points_per_centroid = len(samples)  # sampling is done in `training_rows`
    settings.decode_block_size = ROWS
    width = samples.shape[1]
    kmeans = faiss.Clustering(width, clusters, settings)
    if samples.size <= VALUES:
        kmeans.train(np.ascontiguousarray(samples, dtype=np.float32), _index(width, device))
    else:
        stored = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16)  # float16
        codes = np.ascontiguousarray(samples, dtype="<f2").view(np.uint8)
        kmeans.train_encoded(codes, stored, _index(width, device))
    steps = [kmeans.iteration_stats.at(i) for i in range(kmeans.iteration_stats.size())]
    logger.info(
        "k-means: %d samples, %d clusters, %d iterations, %d splits, mean cosine %.4f",
        len(samples), clusters, len(steps), sum(step.nsplit for step in steps),
        steps[-1].obj / len(samples) if steps else float("nan"),
    )  # fmt: skip
    return faiss.vector_to_array(kmeans.centroids).reshape(clusters, width)


def assign(
    array: ShardedArray, centroids: np.ndarray, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Find every sample's nearest centroid, in blocks.

    Parameters
    ----------
    array : ShardedArray, shape (N, d)
        Activations.
    centroids : float32 array, shape (K, d)
        Unit rows.
    device : {"cpu", "gpu"}

    Returns
    -------
    cluster : int32 array, shape (N,)
        Ties: lowest number.
    distance : float32 array, shape (N,)
        1 - cosine to that centroid, in [0, 2].

    Raises
    ------
    ValueError
        If a sample's activations are all zero or not finite; names the row.
    """
    n, width = array.shape
    index = _index(width, device)
    index.add(np.ascontiguousarray(centroids, dtype=np.float32))
    cluster, distance = np.empty(n, np.int32), np.empty(n, np.float32)
    blocks = progress(array.blocks(ROWS), total=-(-n // ROWS), description="assignment")
    for start, block in blocks:
        here = slice(start, start + len(block))
        require_finite(block, range(start, start + len(block)))
        rows = np.ascontiguousarray(block, dtype=np.float32)
        norms = np.sqrt(squared_norms(rows))
        if not norms.all():
            raise InputError(f"the activations of row {start + int(np.argmin(norms))} are all zero")
        products, nearest = index.search(rows, 1)
        cluster[here] = nearest[:, 0]
        distance[here] = np.clip(1 - products[:, 0] / norms, 0, 2)
    return cluster, distance


@dataclass(frozen=True)
class Examination:
    """Result of `examine`.

    Attributes
    ----------
    empty : int
        Clusters without a sample.
    twins : int
        Clusters whose centroid equals an earlier one (cosine above 1 - 1e-6).
    lowest_cosine : float
        Between any two centroids of non-empty clusters; NaN if there is only one.
    top_share : float
        Share of the samples in the largest 1 % of all clusters (at least one).
    collapse : tuple of str
        Why the clusters are unusable; empty if they are sound.
    """

    empty: int
    twins: int
    lowest_cosine: float
    top_share: float
    collapse: tuple[str, ...]


def examine(centroids: np.ndarray, sizes: np.ndarray) -> Examination:
    """Check for empty clusters, equal centroids and collapse.

    Clusters have collapsed if half of them or more are empty, if all centroids (K, d) are nearly
    parallel (cosines above 0.99), or if the largest 1 % of at least 100 clusters hold more than
    half of the samples beyond their even share. `sizes` (K,) are their numbers of samples.
    """
    total, used = len(sizes), np.flatnonzero(sizes)
    twins, lowest = _compare(centroids[used])
    largest = -(-total // 100)
    share = float(np.sort(sizes)[::-1][:largest].sum() / sizes.sum())
    even, reasons = largest / total, []
    if 2 * len(used) <= total:
        reasons.append(f"{total - len(used)} of {total} clusters are empty")
    if lowest > NEAR_ONE:
        reasons.append(f"all centroids are nearly parallel (lowest cosine {lowest:.4f})")
    if total >= 100 and (share - even) / (1 - even) > 0.5:
        reasons.append(f"{largest} of {total} clusters hold {share:.0%} of the samples")
    return Examination(total - len(used), twins, lowest, share, tuple(reasons))


def drop_empty(
    centroids: np.ndarray, cluster: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Drop empty clusters and renumber the others in their order.

    Returns the remaining centroids (K', d) and each sample's cluster (N,), int32, in 0 to K' - 1.
    """
    used = sizes > 0
    number = np.cumsum(used, dtype=np.int32) - 1
    return centroids[used], number[cluster].astype(np.int32)


def _compare(centroids: np.ndarray) -> tuple[int, float]:
    """Count rows equal to an earlier one, and find the lowest cosine between two rows."""
    twins, lowest = 0, np.inf
    for start in range(0, len(centroids), 512):
        here = centroids[start : start + 512]
        seen = centroids[: start + len(here)]
        cosines = inner(here, seen)  # (512, K' <= K); centroids have unit length
        lowest = min(lowest, float(cosines.min()))
        earlier = np.arange(len(seen)) < np.arange(start, len(seen))[:, None]
        twins += int(((cosines > EQUAL) & earlier).any(axis=1).sum())
    return twins, lowest if len(centroids) > 1 else float("nan")


def _index(width: int, device: str):
    """Make a flat inner-product index on the device."""
    if device not in DEVICES:
        raise InputError(f"device {device!r} is not one of {DEVICES}")
    index = faiss.IndexFlatIP(width)
    if device == "cpu":
        return index
    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        raise InputError("device 'gpu' needs a GPU and faiss's GPU build; use 'cpu'")
    return faiss.index_cpu_to_all_gpus(index)
