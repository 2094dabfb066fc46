"""Lookup of near-duplicates: pairs by their features, groups by content."""

from collections.abc import Sequence

import numpy as np

from vlselect.core.errors import InputError


class NearDuplicates:
    """Look up the near-duplicates of a sample.

    Parameters
    ----------
    n_pool : int
    pairs : int array, shape (m, 2), optional
        Rows of near-duplicates, each pair once, in either order.
    groups : sequence of length n_pool, optional
        Samples with equal values (digests of their contents) are near-duplicates as well.

    Raises
    ------
    ValueError
        If a pair names a row outside the pool, or there is not one group for each sample.
    """

    def __init__(
        self, n_pool: int, pairs: np.ndarray | None = None, groups: Sequence | None = None
    ):
        pairs = np.empty((0, 2), np.int64) if pairs is None else np.asarray(pairs, np.int64)
        if pairs.size and (pairs.min() < 0 or pairs.max() >= n_pool):
            raise InputError(f"near-duplicates name rows outside the pool of {n_pool} samples")
        if groups is not None and len(groups) != n_pool:
            raise ValueError(f"{len(groups)} groups for a pool of {n_pool} samples")
        self._any = bool(pairs.size) or groups is not None
        one, other = np.concatenate([pairs, pairs[:, ::-1]]).T
        order = np.lexsort([other, one])
        self._others = other[order]
        self._starts = np.searchsorted(one[order], np.arange(n_pool + 1))
        self._group = np.arange(n_pool)
        if groups is not None:
            _, self._group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self._members = np.argsort(self._group, kind="stable")
        self._first = np.searchsorted(self._group[self._members], np.arange(n_pool + 1))

    def of(self, row: int) -> np.ndarray:
        """Return the rows of a sample's near-duplicates, which may include itself."""
        if not self._any:
            return np.empty(0, np.int64)
        group = self._group[row]
        same = self._members[self._first[group] : self._first[group + 1]]
        return np.concatenate([self._others[self._starts[row] : self._starts[row + 1]], same])
