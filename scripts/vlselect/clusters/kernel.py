"""Gaussian kernel between samples: what density and MMD are made of."""

from collections.abc import Iterator

import numpy as np

FEATURES = 1024
VALUES = 1 << 24  # converted to float64 at a time: 128 MB


def inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Inner products of rows in float64, without a float64 copy of either side.

    Parameters
    ----------
    a, b : float arrays, shapes (n, d) and (m, d)
        Of any precision; converted a slice of features at a time.

    Returns
    -------
    float64 array, shape (n, m)
    """
    total = np.zeros((len(a), len(b)))
    for part in _slices(a.shape[1], max(len(a), len(b))):
        left = a[:, part].astype(np.float64)
        right = left if a is b else b[:, part].astype(np.float64)
        total += left @ right.T  # of one array with itself: half the work
    return total


def squared_norms(x: np.ndarray) -> np.ndarray:
    """Squared L2 norm of every row, float64, shape (n,)."""
    total = np.zeros(len(x))
    for features in _slices(x.shape[1], len(x)):
        part = x[:, features].astype(np.float64)
        total += np.einsum("nd,nd->n", part, part)
    return total


def gaussian(a: np.ndarray, b: np.ndarray, sigma: float) -> np.ndarray:
    """Kernel exp(-|p - q|^2 / (2 sigma^2)) between the rows of two arrays.

    Parameters
    ----------
    a, b : float arrays, shapes (n, d) and (m, d)
    sigma : float
        Bandwidth, in units of the rows.

    Returns
    -------
    float64 array, shape (n, m)
        In (0, 1].

    References
    ----------
    COINCIDE (arXiv 2406.10995), the d(p, q) of Eq. 6 and 7.
    """
    products = inner(a, b)  # (n, m)
    if a is b:  # the products hold the norms: the rows need not be gone through again
        norms = own = products.diagonal().copy()
    else:
        norms, own = squared_norms(a), squared_norms(b)
    products *= -2
    products += norms[:, None]
    products += own
    np.maximum(products, 0, out=products)  # rounding leaves equal rows a little below zero
    products /= -2 * sigma**2
    return np.exp(products, out=products)


def _slices(width: int, rows: int) -> Iterator[slice]:
    """Cut features so that `rows` rows of a slice are at most VALUES values."""
    step = max(1, min(FEATURES, VALUES // max(1, rows)))
    return (slice(start, start + step) for start in range(0, width, step))
