"""Greedy choice of the samples that best represent their cluster (maximum mean discrepancy).

The kernel is rounded to whole multiples of 2^-30 (fewer bits in clusters of more than 65,536), far
below the resolution of float16 activations. All sums are exact integers: equal costs compare equal,
and no choice depends on block sizes or the order of a sum.
"""

from collections.abc import Callable

import numpy as np

from vlselect.clusters.kernel import gaussian

BITS = 30
PAIRS = 1 << 24
KERNEL_BYTES = 1 << 30
TAKEN = 1 << 62  # above any cost; with all that further picks add, still below 2^63


def whole_kernel(a: np.ndarray, b: np.ndarray, sigma: float, n: int) -> np.ndarray:
    """Compute the Gaussian kernel in units of 2^-bits, int32, for sums over n samples."""
    return whole(gaussian(a, b, sigma), n)


def whole(kernel: np.ndarray, n: int) -> np.ndarray:
    """Round a kernel to multiples of 2^-bits, returned as int32.

    There are 30 bits, or fewer if n^2 such values would not fit 62 bits.
    """
    bits = min(BITS, 62 - 2 * int(n - 1).bit_length())
    scaled = kernel * 2.0**bits  # exact
    return np.rint(scaled, out=scaled).astype(np.int32)


def greedy(
    samples: np.ndarray, budget: int, sigma: float, kernel_bytes: int = KERNEL_BYTES
) -> np.ndarray:
    """Pick samples one at a time, each minimising MMD^2 between the cluster C and the picks C'.

    MMD^2 = mean k(C, C) + mean k(C', C') - 2 mean k(C, C'), with the Gaussian kernel. With m
    picked, only 2 s_j / (m + 1)^2 - 2 r_j / (m + 1) depends on candidate j, where s_j = sum of k(c,
    j) over the picks and r_j = mean of k(x, j) over the cluster (k(j, j) = 1). So a pick costs O(n)
    and one row of the kernel.

    Parameters
    ----------
    samples : float array, shape (n, d)
        Activations of the cluster's samples, in row order.
    budget : int
        Number of picks, 0 to n.
    sigma : float
        Bandwidth of the kernel.
    kernel_bytes : int
        The kernel is kept (4 n^2 bytes) up to this size; beyond it, each pick computes its row, O(n
        d), and memory never holds more than a block of rows.

    Returns
    -------
    int64 array, shape (budget,)
        Positions in `samples`, in the order picked. Ties: lowest position.

    Raises
    ------
    ValueError
        If the budget is not between 0 and n.

    References
    ----------
    COINCIDE (arXiv 2406.10995), Eq. 7 and Algorithm 1, lines 9-12.
    """
    n = len(samples)
    if not 0 <= budget <= n:
        raise ValueError(f"a budget of {budget} does not fit a cluster of {n} samples")
    if budget == 0:
        return np.empty(0, dtype=np.int64)
    # Equal samples share one row of the kernel, so that they tie exactly; `copy` maps samples to
    # rows.
    distinct, copy = _distinct(samples)
    row, sums = _kernel_rows(distinct, np.bincount(copy), sigma, kernel_bytes)
    return pick(row, sums, copy, budget)


def pick(
    row: Callable[[int], np.ndarray], sums: np.ndarray, copy: np.ndarray, budget: int
) -> np.ndarray:
    """Make the picks of `greedy`, int64 (budget,), from the kernel of the distinct samples.

    Parameters
    ----------
    row : callable
        From a distinct sample to its row of the `whole` kernel, int32, shape (u,).
    sums : int64 array, shape (u,)
        Sums of these rows over the cluster, copies included.
    copy : int64 array, shape (n,)
        The distinct sample that each sample equals.
    """
    n = len(copy)
    # The two terms of a pick times n (m + 1)^2 / 2: whole numbers n s_j - (m + 1) n r_j
    total, change = sums[copy], np.empty(n, dtype=np.int64)  # n r_j
    cost = -total
    picks = np.empty(budget, dtype=np.int64)
    for m in range(budget):
        best = picks[m] = cost.argmin()
        cost[best], total[best] = TAKEN, 0
        np.multiply(row(copy[best])[copy], n, out=change, dtype=np.int64)
        cost += change
        cost -= total
    return picks


def _distinct(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows (u, d), in order of appearance, and each row's index there (n,)."""
    rows = np.ascontiguousarray(samples)
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return rows[first[order]], place[inverse]


def _kernel_rows(distinct, copies, sigma, kernel_bytes):
    """Return a function from a distinct sample to its kernel row, and all rows' sums over C."""
    u, n = len(distinct), int(copies.sum())
    keep = 4 * u**2 <= kernel_bytes
    kept = np.empty((u, u) if keep else (0, u), dtype=np.int32)
    sums = np.empty(u, dtype=np.int64)
    step = max(1, PAIRS // u)
    for start in range(0, u, step):
        here = slice(start, min(start + step, u))
        part = distinct[here] if step < u else distinct
        block = whole_kernel(part, distinct, sigma, n)  # (block, u)
        sums[here] = block @ copies  # int64, as copies are
        if keep:
            kept[here] = block

    def row(i: int) -> np.ndarray:
        return kept[i] if keep else whole_kernel(distinct[i : i + 1], distinct, sigma, n)[0]

    return row, sums
