"""Gaussian kernel between samples, used by density and MMD."""

from collections.abc import Iterator

import numpy as np

FEATURES = 1024
VALUES = 1 << 24  # converted to float64 at a time: 128 MB


def inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute inner products of rows, float64 (n, m), without a float64 copy of either side.

    The rows of `a` (n, d) and `b` (m, d) are converted a slice of features at a time.
    """
    total = np.zeros((len(a), len(b)))
    for part in _slices(a.shape[1], max(len(a), len(b))):
        left = a[:, part].astype(np.float64)
        right = left if a is b else b[:, part].astype(np.float64)
        total += left @ right.T  # an array with itself takes half the work
    return total


def squared_norms(x: np.ndarray) -> np.ndarray:
    """Compute the squared L2 norm of every row: float64, shape (n,)."""
    total = np.zeros(len(x))
    for features in _slices(x.shape[1], len(x)):
        part = x[:, features].astype(np.float64)
        total += np.einsum("nd,nd->n", part, part)
    return total


def gaussian(a: np.ndarray, b: np.ndarray, sigma: float) -> np.ndarray:
    """Compute the kernel exp(-|p - q|^2 / (2 sigma^2)) between the rows of two arrays.

    Takes shapes (n, d) and (m, d); returns float64 (n, m), in (0, 1].

    References
    ----------
    COINCIDE (arXiv 2406.10995), d(p, q) of Eq. 6 and 7.
    """
    products = inner(a, b)  # (n, m)
    if a is b:  # the norms are on the diagonal: no second pass over the rows
        norms = own = products.diagonal().copy()
    else:
        norms, own = squared_norms(a), squared_norms(b)
    products *= -2
    products += norms[:, None]
    products += own
    np.maximum(products, 0, out=products)  # rounding can put equal rows below zero
    products /= -2 * sigma**2
    return np.exp(products, out=products)


def _slices(width: int, rows: int) -> Iterator[slice]:
    """Cut the features into slices of at most VALUES values over `rows` rows."""
    step = max(1, min(FEATURES, VALUES // max(1, rows)))
    return (slice(start, start + step) for start in range(0, width, step))
