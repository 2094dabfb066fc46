"""Order of samples: the size of a ratio, ties, draws, shares of groups.

The position of a sample in the pool never matters: ties are broken by sample id, and draws use a
hash of seed, purpose and sample id. So the same samples are chosen for any order of the pool, and
draws for different purposes are independent.
"""

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from vlselect.core.errors import InputError


def size(n_pool: int, ratio: float | str) -> int:
    """Return the number of samples in a ratio of the pool: ratio · n_pool, halves rounded up.

    The ratio is taken as the decimal number that was written, not as the nearest binary one, so
    0.29 of 50 is 14.5 and becomes 15. InputError if it is outside (0, 1], or no sample would be
    chosen.
    """
    try:
        exact = Fraction(str(ratio))
    except (ValueError, ZeroDivisionError):
        raise InputError(f"ratio {ratio!r} is not a number") from None
    if not 0 < exact <= 1:
        raise InputError(f"ratio {ratio} is not in (0, 1]")
    budget = part(n_pool, exact)
    if budget < 1:
        raise InputError(f"ratio {ratio} of a pool of {n_pool} samples leaves none")
    return budget


def part(n: int, share: float | str | Fraction) -> int:
    """Return share · n as a whole number, halves rounded up, the share as in `size`."""
    return int(Fraction(str(share)) * n + Fraction(1, 2))


def top(
    scores: ArrayLike, budget: int, sample_ids: Sequence[str], ties: Sequence[ArrayLike] = ()
) -> np.ndarray:
    """Return the rows with the highest scores, the best first: int64 (budget,).

    Parameters
    ----------
    scores : array, shape (N,)
        Higher is better.
    budget : int
        At most N.
    sample_ids : sequence of str, length N
        Distinct. The last tie-break: the smaller id (by code points) comes first.
    ties : sequence of arrays, shape (N,)
        Tie-breaks before the sample id, the most important first; higher is better.

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
    # the last key of lexsort is the primary one
    order = np.lexsort([id_ranks(sample_ids), *(-key for key in reversed(keys))])
    return order[:budget].astype(np.int64)


def id_ranks(sample_ids: Sequence[str]) -> np.ndarray:
    """Return the rank of each sample id, from 0, by code points; InputError for a repeated id."""
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

    Samples are ordered by the 64-bit BLAKE2b hash of "<seed>:<purpose>:<sample_id>", and the first
    `budget` are returned in that order, int64: a smaller draw is part of every larger one. Every
    purpose has an independent order. None is that of the method `random`, whose hash has no purpose
    in it; no other draw may use it, or it would choose the same samples.
    """
    _require_room(budget, len(sample_ids))
    salt = f"{seed}:" if purpose is None else f"{seed}:{purpose}:"
    keys = np.array([_hash(f"{salt}{name}") for name in sample_ids], dtype=np.uint64)
    return np.lexsort([id_ranks(sample_ids), keys])[:budget].astype(np.int64)


def proportional_split(budget: int, sizes: Sequence[int]) -> np.ndarray:
    """Split a budget over groups in proportion to their sizes, by largest remainder.

    Exact in integers; the first of equal remainders gets the sample. The result, int64
    (len(sizes),), sums to the budget, and no group exceeds its size.
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
