"""The span of the validation gradients: what of a pool sample's gradient decides on its influence.

Influence is made of inner products with validation gradients, so of a gradient no more counts than
its coordinates in an orthonormal basis of their span: r numbers in place of k, with the same inner
products. The basis begins with the span of the tasks' means, which are what influence on a task is
taken with; the rest are the directions in which the validation gradients are largest, by the
eigenvectors of the Gram matrix of what the means leave of them. With fewer directions than the
validation gradients have, inner products with single ones lack the energy left out; those with the
means do not.
"""

from collections.abc import Sequence

import numpy as np

from vlselect.core.errors import InputError

TINY = 1e-10  # of the largest eigenvalue: gradients in float16 know no more


def orthonormal_basis(gradients: Sequence[np.ndarray], dimensions: int) -> tuple[np.ndarray, float]:
    """Return a basis of the span of validation gradients, and the share of energy that it keeps.

    Parameters
    ----------
    gradients : sequence of float32 arrays, shapes (n_val, k)
        Those of each task.
    dimensions : int
        Most directions; at least as many as there are tasks.

    Returns
    -------
    basis : float32 array, shape (r, k)
        Orthonormal rows.
    energy : float
        Share of the sum of squares of all gradients within the span, 0 to 1.
    """
    if dimensions < len(gradients):
        raise InputError(
            f"gradients.span is {dimensions}, but {len(gradients)} tasks have a mean each: "
            "raise it to their number at least"
        )
    whole = np.concatenate(gradients).astype(np.float64)
    means = np.stack([part.mean(axis=0, dtype=np.float64) for part in gradients])
    first = _directions(means, dimensions)
    rest = whole - (whole @ first.T) @ first
    second = _directions(rest, dimensions - len(first), np.sum(whole**2))
    basis = np.linalg.qr(np.concatenate([first, second]).T)[0].T  # once more, against rounding
    energy = float(np.sum((whole @ basis.T) ** 2) / np.sum(whole**2))
    return np.ascontiguousarray(basis, dtype=np.float32), energy


def coordinates(gradients: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return the coordinates (n, r), float32, of gradients (n, k) in a basis (r, k)."""
    return gradients.astype(np.float32) @ basis.T


def _directions(rows: np.ndarray, most: int, scale: float = 0.0) -> np.ndarray:
    """Return at most so many orthonormal directions (r, k) in which rows (n, k) are largest."""
    values, vectors = np.linalg.eigh(rows @ rows.T)  # ascending
    kept = np.flatnonzero(values > TINY * max(values[-1], scale))[::-1][:most]
    return (vectors[:, kept] / np.sqrt(values[kept])).T @ rows
