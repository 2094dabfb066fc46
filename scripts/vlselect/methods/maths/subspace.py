"""Leverage of each sample in the dominant subspace of all samples' representations.

Linear in the number of samples and O(d^2) in memory: three passes over blocks of a stored array
(mean, scatter matrix, scores), which is never loaded whole.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vlselect.core import half
from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray

logger = logging.getLogger(__name__)

ROWS = 4096


@dataclass(frozen=True)
class Subspace:
    """Dominant subspace of centred rows.

    Attributes
    ----------
    mean : float64 array, shape (d,)
    directions : float64 array, shape (d, k)
        Right singular vectors, the most important first; orthonormal columns.
    singular_values : float64 array, shape (k,)
        Descending, all above 0.
    energy : float
        Share of the sum of squared singular values held by the k directions.
    """

    mean: np.ndarray
    directions: np.ndarray
    singular_values: np.ndarray
    energy: float


def leverage(array: ShardedArray, include: np.ndarray, energy: float) -> np.ndarray:
    """Compute every included row's leverage in the dominant subspace.

    Parameters
    ----------
    array : ShardedArray, shape (N, d)
        Representations of the samples.
    include : bool array, shape (N,)
        Rows to use; the others neither shape the subspace nor get a score.
    energy : float
        Share of the total squared singular values that the subspace has to hold, in (0, 1].

    Returns
    -------
    float64 array, shape (N,)
        Squared norm of each row of U_k, in [0, 1], summing to k; NaN where not included.

    Raises
    ------
    ValueError
        If fewer than two rows are included, all of them are equal, or one is not finite.

    References
    ----------
    ScalSelect (arXiv 2602.11636), scores from the dominant subspace.
    """
    include = np.asarray(include, dtype=bool)
    if include.shape != (array.shape[0],):
        raise ValueError(f"{include.shape} flags for {array.shape[0]} rows")
    subspace = dominant_subspace(array, include, energy)
    weights = subspace.directions / subspace.singular_values  # (d, k)
    scores = np.full(len(include), np.nan)
    for rows, block in included(array, include):
        scores[rows] = np.square((block - subspace.mean) @ weights).sum(axis=1)
    return scores


def dominant_subspace(array: ShardedArray, include: np.ndarray, energy: float) -> Subspace:
    """Find the fewest directions that hold `energy` of the centred rows' squared singular values.

    Parameters and errors as in `leverage`. Directions that rounding cannot distinguish from zero
    (an eigenvalue of the scatter matrix below max(n, d) machine precisions times the largest) are
    never used.
    """
    if not 0 < energy <= 1:
        raise InputError(f"energy {energy} is not in (0, 1]")
    n, d = int(include.sum()), array.shape[1]
    if n < 2:
        raise InputError(f"a subspace needs at least two samples with a representation, not {n}")
    mean = np.zeros(d)
    for _, block in included(array, include):
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= n
    # Centre in a separate pass: R^T R minus n times the mean's square would lose the
    # digits that the two have in common.
    scatter = np.zeros((d, d))
    for _, block in included(array, include):
        centred = block - mean  # float64
        scatter += centred.T @ centred
    squares, vectors = np.linalg.eigh(scatter)
    squares, vectors = squares[::-1], vectors[:, ::-1]  # descending
    precision = max(n, d) * np.finfo(np.float64).eps
    # The scatter of equal rows is the mean's rounding error: compare it with the mean's size.
    if squares[0] <= n * float(mean @ mean) * precision**2 or squares[0] <= 0:
        raise InputError(f"all {n} representations are equal: there is no subspace to score by")
    rank = int((squares > squares[0] * precision).sum())
    held = np.cumsum(squares[:rank])
    k = min(rank, int(np.searchsorted(held, energy * held[-1])) + 1)
    share = float(held[k - 1] / held[-1])
    logger.info("%d rows of width %d, rank %d: %d directions hold %.4f", n, d, rank, k, share)
    return Subspace(mean, vectors[:, :k], np.sqrt(squares[:k]), share)


def included(array: ShardedArray, include: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (row numbers, values) of each block's included rows; float16 becomes float32.

    InputError if a value of such a row is not finite.
    """
    for start, block in array.blocks(ROWS):
        rows = start + np.flatnonzero(include[start : start + len(block)])
        if len(rows):
            values = block if len(rows) == len(block) else block[rows - start]
            finite = half.finite_rows(values)
            if not finite.all():
                raise InputError(
                    f"the representation of row {rows[np.argmin(finite)]} is not finite"
                )
            if values.dtype == np.float16:
                stored, values = values, np.empty(values.shape, np.float32)
                half.to_float32(stored, values)
            yield rows, values
