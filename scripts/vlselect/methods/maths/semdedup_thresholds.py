"""Thresholds of SemDeDup: how close each sample is to an earlier one in its cluster."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.kernel import inner
from vlselect.core.errors import InputError
from vlselect.core.log import progress

ROWS = 2048
VALUES = 1 << 26  # of the rows read in one pass: 256 MiB
DECIMALS = 6  # the precision of float16 features; exact copies tie despite rounding
ALONE = 2.0  # above the tolerance of any pair: 1 - cosine is at most 2


def tolerance(
    embeddings: Embeddings, cluster: np.ndarray, distance: np.ndarray, first: str
) -> np.ndarray:
    """Find the largest epsilon at which each sample stays.

    SemDeDup goes through a cluster in order and drops a sample if its cosine to any earlier one,
    dropped or not, exceeds 1 - epsilon. So a sample stays as long as epsilon is at most 1 minus the
    highest of these cosines: for any epsilon, the samples that stay are those with at least this
    value.

    Parameters
    ----------
    embeddings : Embeddings (N, d)
        Unit rows.
    cluster : int array, shape (N,)
        By place.
    distance : float array, shape (N,)
        1 - cosine to the cluster's centroid, by place.
    first : {"hard", "easy"}
        Whether the sample least or most similar to its centroid comes first. Ties: sample id.

    Returns
    -------
    float64 array, shape (N,)
        By place, rounded to six decimals, at least 0; 2 for the first of each cluster, which always
        stays.

    References
    ----------
    Abbas et al., SemDeDup, arXiv:2303.09540, section 3 and appendix (keep hard, easy).
    """
    if first not in ("hard", "easy"):
        raise InputError(f"first {first!r} is not one of ('hard', 'easy')")
    key = -distance if first == "hard" else distance
    order = np.lexsort([key, cluster])  # stable: equal keys stay in the order of ids
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    values = np.empty(len(cluster))
    clusters = progress(np.split(order, starts[1:]), description="similar pairs")
    for members, rows in _with_rows(embeddings, clusters):
        for here, highest in _highest_earlier(rows, len(members)):
            values[members[here]] = 1 - highest
    return np.round(np.clip(values, 0, ALONE), DECIMALS) + 0.0  # no negative zeros


def _with_rows(
    embeddings: Embeddings, clusters: Iterable[np.ndarray]
) -> Iterator[tuple[np.ndarray, Callable[[slice], np.ndarray]]]:
    """Yield each cluster, and a function that reads its rows.

    As many clusters as VALUES allows are read together, in file order; the rows of a larger cluster
    are read at each call.
    """
    room = VALUES // embeddings.shape[1]
    buffer = np.empty((min(room, len(embeddings)), embeddings.shape[1]), np.float32)
    for together in _batches(clusters, room):
        places = np.concatenate(together)
        if len(places) > room:
            yield places, lambda here, places=places: embeddings[places[here]]
            continue
        by_row = np.argsort(embeddings.rows[places])
        for start in range(0, len(places), ROWS):
            here = by_row[start : start + ROWS]
            buffer[here] = embeddings[places[here]]
        ends = np.cumsum([len(members) for members in together])
        for members, end in zip(together, ends, strict=True):
            yield members, buffer[end - len(members) : end].__getitem__


def _batches(clusters: Iterable[np.ndarray], room: int) -> Iterator[list[np.ndarray]]:
    """Group clusters up to `room` rows; a larger one stays alone."""
    together, count = [], 0
    for members in clusters:
        if together and count + len(members) > room:
            yield together
            together, count = [], 0
        together.append(members)
        count += len(members)
    yield together


def _highest_earlier(
    rows: Callable[[slice], np.ndarray], n: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the highest cosine of each of n rows with those before it, in blocks; -1 for the first.

    Memory is ROWS x ROWS for any cluster size.
    """
    for start in range(0, n, ROWS):
        here = slice(start, min(start + ROWS, n))
        block = rows(here)
        cosines = inner(block, block)
        np.copyto(cosines, -1.0, where=np.tri(len(block), dtype=bool).T)  # itself and later ones
        highest = cosines.max(axis=1)
        for other in range(0, start, ROWS):
            earlier = rows(slice(other, other + ROWS))
            np.maximum(highest, inner(block, earlier).max(axis=1), out=highest)
        yield here, highest
