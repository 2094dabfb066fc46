"""Greedy choice of the samples that stand best for their cluster (maximum mean discrepancy).

The kernel is rounded to whole multiples of 2^-30 (fewer bits in clusters of more than 65,536), far
below what float16 activations can tell apart. All sums are then exact integers: costs that are
equal compare equal, and no choice depends on block sizes or on the order of a sum.
"""

import numpy as np

from vlselect.kernel import gaussian

BITS = 30
PAIRS = 1 << 24
KERNEL_BYTES = 1 << 30


def whole_kernel(a: np.ndarray, b: np.ndarray, sigma: float, n: int) -> np.ndarray:
    """Gaussian kernel in units of 2^-bits, as int32, for sums over a cluster of n samples.

    The number of bits is 30, or less where n^2 such values would not fit 62 bits.
    """
    bits = min(BITS, 62 - 2 * int(n - 1).bit_length())
    return np.rint(np.ldexp(gaussian(a, b, sigma), bits)).astype(np.int32)


def greedy(
    samples: np.ndarray, budget: int, sigma: float = 1.0, kernel_bytes: int = KERNEL_BYTES
) -> np.ndarray:
    """Pick samples one at a time, each minimising MMD^2 between the cluster C and the picks C'.

    MMD^2 = mean k(C, C) + mean k(C', C') - 2 mean k(C, C'), with the Gaussian kernel. With m
    picked, candidate j changes it through 2 s_j / (m + 1)^2 - 2 r_j / (m + 1) alone, where
    s_j = sum of k(c, j) over the picks and r_j = mean of k(x, j) over the cluster; all else is
    the same for every candidate (k(j, j) = 1). So a pick costs O(n) and one row of the kernel.

    Parameters
    ----------
    samples : float array, shape (n, d)
        Activations of the cluster's samples, in row order.
    budget : int
        How many to pick, 0 to n.
    sigma : float
        Bandwidth of the kernel.
    kernel_bytes : int
        The kernel is kept (4 n^2 bytes) up to this size; beyond it, each pick computes its row
        of the kernel, O(n d), and no more than a block of rows is ever held.

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
    # Equal samples share one row of the kernel, so that they tie whatever the matrix product's
    # last digits; `copy` says which row is whose.
    distinct, copy = _distinct(samples)
    row, sums = _kernel_rows(distinct, np.bincount(copy), sigma, kernel_bytes)
    total, near = sums[copy], np.zeros(n, dtype=np.int64)  # n * r_j and s_j, in kernel units
    free = np.ones(n, dtype=bool)
    picks = np.empty(budget, dtype=np.int64)
    for m in range(budget):
        # the two terms above times n (m + 1)^2 / 2: whole numbers
        cost = n * near - (m + 1) * total
        picks[m] = np.argmin(np.where(free, cost, np.iinfo(np.int64).max))
        free[picks[m]] = False
        near += row(copy[picks[m]])[copy]
    return picks


def _distinct(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the distinct rows (u, d), in order of first appearance, and each row's place (n,)."""
    rows = np.ascontiguousarray(samples)
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return rows[first[order]], place[inverse]


def _kernel_rows(distinct, copies, sigma, kernel_bytes):
    """Give a function from a distinct sample to its kernel row, and all rows' sums over C."""
    u, n = len(distinct), int(copies.sum())
    keep = 4 * u**2 <= kernel_bytes
    kept = np.empty((u, u) if keep else (0, u), dtype=np.int32)
    sums = np.empty(u, dtype=np.int64)
    step = max(1, PAIRS // u)
    for start in range(0, u, step):
        here = slice(start, min(start + step, u))
        part = distinct[here] if step < u else distinct
        block = whole_kernel(part, distinct, sigma, n)  # (block, u)
        sums[here] = block @ copies  # int64: copies are
        if keep:
            kept[here] = block

    def row(i: int) -> np.ndarray:
        return kept[i] if keep else whole_kernel(distinct[i : i + 1], distinct, sigma, n)[0]

    return row, sums
