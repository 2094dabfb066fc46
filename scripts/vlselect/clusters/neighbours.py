"""Nearest neighbours of every sample of the pool, by faiss in blocks, exactly or by inverted lists.

faiss proposes candidates. Their distances are computed again in float64 from the stored features,
because faiss expands squares in float32, whose rounding exceeds the distances of near-duplicates.
"""

import logging

import faiss
import numpy as np

from vlselect.clusters import kmeans
from vlselect.clusters.embeddings import Embeddings
from vlselect.core.errors import InputError
from vlselect.core.log import progress

logger = logging.getLogger(__name__)

ROWS = 512
INDEXES = ("auto", "exact", "ivf")
EXACT_UP_TO = 100_000  # samples; the exact search is quadratic
POINTS_PER_LIST = 64


def nearest(
    embeddings: Embeddings,
    k: int,
    *,
    index: str,
    n_lists: int | None,
    n_probe: int,
    memory_gb: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest other samples of each sample by Euclidean distance.

    Parameters
    ----------
    embeddings : Embeddings (N, d)
    k : int
        Less than N.
    index : {"auto", "exact", "ivf"}
        `exact` compares all pairs (quadratic time, float32 copy of the features in memory); `ivf`
        searches the `n_probe` nearest of `n_lists` lists (float16 copy); `auto` is exact up to
        100,000 samples.
    n_lists : int or None
        None: 4 times the square root of N.
    n_probe : int
    memory_gb : float
        Most gigabytes for the samples that the lists are trained on, at four bytes a value.
    seed : int
        Of the lists.

    Returns
    -------
    neighbours : int64 array, shape (N, k)
        Places, the nearest first; ties: lower place. Never the sample itself.
    squared : float64 array, shape (N, k)
        Squared distances.

    Raises
    ------
    ValueError
        If k is out of range or the index unknown.
    """
    n, width = embeddings.shape
    if not 1 <= k < n:
        raise InputError(f"cannot find {k} neighbours among {n} samples")
    built = make_index(embeddings, index, n_lists, n_probe, memory_gb, seed)
    exact = isinstance(built, faiss.IndexFlat)
    stored = (
        faiss.rev_swig_ptr(built.get_xb(), n * width).reshape(n, width) if exact else embeddings
    )
    wanted = min(n, 2 * k + 1)  # itself, and spare ones that may be nearer by exact distance
    neighbours, squared = np.empty((n, k), np.int64), np.empty((n, k))
    blocks = progress(embeddings.blocks(ROWS), total=-(-n // ROWS), description="neighbours")
    for start, block in blocks:
        here = slice(start, start + len(block))
        candidates = _candidates(built, block, wanted, np.arange(start, start + len(block)), k)
        neighbours[here], squared[here] = _refine(stored, block, candidates, k)
    return neighbours, squared


def count_lists(n: int, index: str, n_lists: int | None) -> int:
    """Return the number of lists for n samples: one where all are compared; as in `nearest`."""
    if index not in INDEXES:
        raise InputError(f"index {index!r} is not one of {INDEXES}")
    if index == "exact" or (index == "auto" and n <= EXACT_UP_TO):
        return 1
    return min(n, n_lists or round(4 * n**0.5))


def make_index(
    embeddings: Embeddings,
    index: str,
    n_lists: int | None,
    n_probe: int,
    memory_gb: float,
    seed: int,
):
    """Build the faiss index of all samples, flat or inverted lists; arguments as in `nearest`."""
    # All products by BLAS: for blocks of few values (128,000), faiss 1.15 has loops of its own,
    # which on one thread take four to eight times as long.
    faiss.cvar.distance_compute_blas_threshold = 0
    n = len(embeddings)
    lists = count_lists(n, index, n_lists)
    if lists == 1:
        built = faiss.IndexFlatL2(embeddings.shape[1])
    else:
        built = _lists(embeddings, lists, n_probe, memory_gb, seed)
    for _, block in embeddings.blocks(kmeans.ROWS):
        built.add(block)
    logger.info("index over %d samples: %s", n, "exact" if lists == 1 else f"{lists} lists")
    return built


def _lists(embeddings: Embeddings, count: int, probe: int, memory_gb: float, seed: int):
    """Train inverted lists that keep rows as float16, the type in which they are stored."""
    n, width = embeddings.shape
    quantiser = faiss.IndexFlatL2(width)
    kind = faiss.ScalarQuantizer.QT_fp16
    built = faiss.IndexIVFScalarQuantizer(quantiser, width, count, kind, faiss.METRIC_L2, False)
    # half of the memory, because these rows are float32
    places = kmeans.training_rows(n, width, count, POINTS_PER_LIST, memory_gb / 2, seed)
    built.cp.seed, built.cp.min_points_per_centroid = seed, 1
    built.cp.max_points_per_centroid = len(places)
    built.train(embeddings[places])
    built.nprobe = min(probe, count)
    return built


def _candidates(built, block: np.ndarray, wanted: int, own: np.ndarray, k: int) -> np.ndarray:
    """Find places of at least k other samples near each row of a block; -1 for none or itself."""
    _, found = built.search(block, wanted)
    found[found == own[:, None]] = -1
    short = np.flatnonzero((found >= 0).sum(axis=1) < k)
    if len(short):  # the probed lists hold too few: search all of them
        logger.info("%d samples: too few neighbours in the probed lists", len(short))
        probe, built.nprobe = built.nprobe, built.nlist
        _, found[short] = built.search(block[short], wanted)
        built.nprobe = probe
        found[found == own[:, None]] = -1
    return found


def _refine(
    stored: Embeddings | np.ndarray, block: np.ndarray, candidates: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest candidates and their exact squared distances: two arrays (n, k)."""
    squared = np.full(candidates.shape, np.inf)
    for column, places in enumerate(candidates.T):
        real = np.flatnonzero(places >= 0)
        difference = block[real].astype(np.float64) - stored[places[real]]
        squared[real, column] = np.einsum("nd,nd->n", difference, difference)
    order = np.lexsort([candidates, squared], axis=1)[:, :k]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(squared, order, 1)
