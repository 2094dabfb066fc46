"""Farthest-point sampling: again and again the point that is farthest from all chosen ones.

The exact choice, without a pass over all points for every pick: a block of points whose largest
distance at its last update was below the best one now cannot hold the next pick, since distances
only shrink. Blocks catch up with several picks at once.

References
----------
.. [1] Gonzalez, Clustering to minimize the maximum intercluster distance, Theoretical Computer
   Science 38, 1985.
"""

import numpy as np

from vlselect.clusters.kernel import squared_norms
from vlselect.core.log import progress

ROWS = 512  # of a block


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Choose `count` points, the first with the largest norm.

    Parameters
    ----------
    points : float32 array, shape (m, d)
        Of equally far points the earlier one is chosen.
    count : int
        At most m.

    Returns
    -------
    int64 array, shape (count,)
        Places in the order chosen.
    """
    norms = squared_norms(points)
    blocks = [slice(start, start + ROWS) for start in range(0, len(points), ROWS)]
    squared = norms.copy()  # to the nearest chosen point; before the first, the norm decides
    largest = np.array([squared[block].max() for block in blocks])
    known = np.zeros(len(blocks), dtype=np.int64)  # picks that a block has caught up with
    picks = np.empty(count, dtype=np.int64)
    for number in progress(range(count), description="farthest points"):
        while known[nearest := int(largest.argmax())] < number:
            block = blocks[nearest]
            new = picks[known[nearest] : number]
            found = _squared(points[block], points[new], norms[block], norms[new]).min(axis=1)
            old = squared[block] if known[nearest] else np.inf
            squared[block] = np.minimum(old, found)
            squared[new[_inside(new, block)]] = -np.inf
            largest[nearest], known[nearest] = squared[block].max(), number
        block = blocks[nearest]
        picks[number] = block.start + int(squared[block].argmax())
        if not number:
            largest[:] = np.inf  # norms are no distances
    return picks


def _squared(a: np.ndarray, b: np.ndarray, of_a: np.ndarray, of_b: np.ndarray) -> np.ndarray:
    """Return squared distances (n, m) of rows with known squared norms, at least 0."""
    products = (a @ b.T).astype(np.float64)
    return np.maximum(of_a[:, None] + of_b - 2 * products, 0)


def _inside(places: np.ndarray, block: slice) -> np.ndarray:
    return (places >= block.start) & (places < block.stop)
