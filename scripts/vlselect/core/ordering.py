"""Which samples come first: how many a ratio means, order and ties, draws, shares of groups.

Nothing here depends on where a sample stands in the pool: ties are broken by sample id, and draws
are made by a hash of seed, purpose and sample id, so the same samples are chosen whatever the
pool's order, and draws for different purposes have nothing to do with each other.
"""

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from vlselect.core.errors import InputError


def size(n_pool: int, ratio: float | str) -> int:
    """Number of samples that a ratio of the pool means: ratio · n_pool, halves rounded up.

    The ratio is taken as the decimal number that was written, not as the nearest binary one, so
    0.29 of 50 is 14.5 and gives 15.

    Parameters
    ----------
    n_pool : int
        Number of samples in the pool.
    ratio : float or str
        In (0, 1].

    Raises
    ------
    ValueError
        If the ratio is outside (0, 1], or so small that no sample would be chosen.
    """
    try:
        exact = Fraction(str(ratio))
    except (ValueError, ZeroDivisionError):
        raise InputError(f"ratio {ratio!r} is not a number") from None
    if not 0 < exact <= 1:
        raise InputError(f"ratio {ratio} is not in (0, 1]")
    budget = int(exact * n_pool + Fraction(1, 2))
    if budget < 1:
        raise InputError(f"ratio {ratio} of a pool of {n_pool} samples leaves none")
    return budget


def top(
    scores: ArrayLike, budget: int, sample_ids: Sequence[str], ties: Sequence[ArrayLike] = ()
) -> np.ndarray:
    """Give the rows with the highest scores, the best first.

    Parameters
    ----------
    scores : array, shape (N,)
        Higher is better; NaN is an error.
    budget : int
        How many to give, at most N.
    sample_ids : sequence of str, length N
        Distinct. The last tie-break: the smaller id (by code points) comes first.
    ties : sequence of arrays, shape (N,)
        Tie-breaks before the sample id, the most important first; higher is better.

    Returns
    -------
    int64 array, shape (budget,)

    Raises
    ------
    ValueError
        If a score is NaN, an id is repeated, or the budget exceeds the pool.
    """
    keys = [np.asarray(key, dtype=np.float64) for key in (scores, *ties)]
    n_pool = len(sample_ids)
    for key in keys:
        if key.shape != (n_pool,):
            raise ValueError(f"scores of shape {key.shape} for a pool of {n_pool} samples")
        if np.isnan(key).any():
            row = int(np.argmax(np.isnan(key)))
            raise InputError(f"the score of row {row} ({sample_ids[row]}) is NaN")
    _require_room(budget, n_pool)
    # lexsort's last key counts most
    order = np.lexsort([id_ranks(sample_ids), *(-key for key in reversed(keys))])
    return order[:budget].astype(np.int64)


def id_ranks(sample_ids: Sequence[str]) -> np.ndarray:
    """Rank of each sample id among all, from 0, by code points; a repeated id is an error."""
    # Objects, not fixed-width strings: one very long id must not cost N times its length.
    ids = np.asarray(sample_ids, dtype=object)
    order = np.argsort(ids, kind="stable")
    repeated = ids[order][1:][ids[order][1:] == ids[order][:-1]]
    if repeated.size:
        raise InputError(f"sample id {repeated[0]!r} is not unique")
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[order] = np.arange(len(ids))
    return ranks


def draw(sample_ids: Sequence[str], budget: int, seed: int, purpose: str | None) -> np.ndarray:
    """Draw rows uniformly without replacement, the same samples for any order of the pool.

    Samples are ordered by the 64-bit BLAKE2b hash of "<seed>:<purpose>:<sample_id>" and the first
    are taken. For a larger budget the same draw goes on: smaller subsets are parts of larger ones.

    Parameters
    ----------
    sample_ids : sequence of str
    budget : int
    seed : int
    purpose : str or None
        What is drawn for: every purpose has an order of its own. None is that of the method
        `random`, whose hash has no purpose in it; any other draw that took it would choose the
        samples that `random` does.

    Returns
    -------
    int64 array, shape (budget,)
        In the order drawn.
    """
    _require_room(budget, len(sample_ids))
    salt = f"{seed}:" if purpose is None else f"{seed}:{purpose}:"
    keys = np.array([_hash(f"{salt}{name}") for name in sample_ids], dtype=np.uint64)
    return np.lexsort([id_ranks(sample_ids), keys])[:budget].astype(np.int64)


def proportional_split(budget: int, sizes: Sequence[int]) -> np.ndarray:
    """Split a budget over groups in proportion to their sizes, by largest remainder.

    Exact in integers; the first of equal remainders gets the sample. No group gets more than it
    has, as long as the budget does not exceed the pool.

    Parameters
    ----------
    budget : int
        At most the sum of the sizes.
    sizes : sequence of int
        Samples in each group.

    Returns
    -------
    int64 array, shape (len(sizes),)
        Sums to `budget`.
    """
    total = sum(int(s) for s in sizes)
    _require_room(budget, total)
    shares = [divmod(budget * int(s), max(total, 1)) for s in sizes]
    split = np.array([quotient for quotient, _ in shares], dtype=np.int64)
    remainders = np.array([remainder for _, remainder in shares])
    split[np.argsort(-remainders, kind="stable")[: budget - split.sum()]] += 1
    return split


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _require_room(budget: int, n_pool: int) -> None:
    if not 0 <= budget <= n_pool:
        raise ValueError(f"a budget of {budget} does not fit a pool of {n_pool} samples")
