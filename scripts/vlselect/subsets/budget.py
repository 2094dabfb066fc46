"""Budgets: how many samples a ratio means, and which samples fill them.

Every method uses these functions, so counts, ties and text-only samples follow one rule. The
position of a sample in the pool never matters: ties are broken by sample id, and draws use a hash
of seed, purpose and sample id. So the same samples are chosen for any order of the pool, and draws
for different purposes are independent.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

TEXT_ONLY = ("proportional", "drop")
KINDS = ("ratio", "samples", "tokens")


class InfeasibleError(ValueError):
    """No subset of this size meets the requirements."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The samples that a method chose.

    Attributes
    ----------
    rows : int64 array, shape (budget,)
        Pool rows, the best first.
    scores : float64 array, shape (budget,)
        The method's score of each row, higher is better; NaN for no score. None means NaN for all.
    """

    rows: np.ndarray
    scores: np.ndarray | None = None

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise ValueError(f"rows must be a list of integers, not {rows.dtype} {rows.shape}")
        given = np.full(len(rows), np.nan) if self.scores is None else self.scores
        scores = np.asarray(given, dtype=np.float64)
        if scores.shape != rows.shape:
            raise ValueError(f"{len(rows)} rows but scores of shape {scores.shape}")
        if np.isinf(scores).any():
            raise ValueError(f"the score of row {rows[np.isinf(scores)][0]} is infinite")
        object.__setattr__(self, "rows", rows.astype(np.int64))
        object.__setattr__(self, "scores", scores)

    def check(self, budget: int, n_pool: int) -> None:
        """Raise ValueError unless this is exactly `budget` distinct rows of a pool of `n_pool`."""
        if len(self.rows) != budget:
            raise ValueError(f"chose {len(self.rows)} samples for a budget of {budget}")
        outside = self.rows[(self.rows < 0) | (self.rows >= n_pool)]
        if outside.size:
            raise ValueError(f"chose row {outside[0]}, which is outside the pool of {n_pool}")
        distinct, counts = np.unique(self.rows, return_counts=True)
        if len(distinct) != len(self.rows):
            raise ValueError(f"chose row {distinct[counts > 1][0]} more than once")


def size(n_pool: int, ratio: float | str) -> int:
    """Return the number of samples in a ratio of the pool: ratio · n_pool, halves rounded up.

    The ratio is taken as the decimal number that was written, not as the nearest binary one, so
    0.29 of 50 is 14.5 and becomes 15. ValueError if it is outside (0, 1], or no sample would be
    chosen.
    """
    try:
        exact = Fraction(str(ratio))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"ratio {ratio!r} is not a number") from None
    if not 0 < exact <= 1:
        raise ValueError(f"ratio {ratio} is not in (0, 1]")
    budget = int(exact * n_pool + Fraction(1, 2))
    if budget < 1:
        raise ValueError(f"ratio {ratio} of a pool of {n_pool} samples leaves none")
    return budget


def parse(label: str) -> tuple[str, str]:
    """Split a budget such as ratio-0.2, samples-1000 or tokens-2000000 into kind and number."""
    kind, _, number = label.partition("-")
    if kind not in KINDS or not number or (kind != "ratio" and not number.isdecimal()):
        raise ValueError(f"budget {label!r} is not ratio-<share>, samples-<n> or tokens-<n>")
    return kind, number


def samples(n_pool: int, label: str) -> int:
    """Return the number of samples in a budget of a ratio or of samples.

    The label is, for example, ``ratio-0.2`` (see `size`) or ``samples-1000``; ValueError if it is
    something else, or the pool has fewer samples.
    """
    kind, number = parse(label)
    if kind == "tokens":
        raise ValueError(f"budget {label}: its number of samples depends on which are chosen")
    if kind == "ratio":
        return size(n_pool, number)
    if not 1 <= int(number) <= n_pool:
        raise ValueError(f"budget {label} does not fit a pool of {n_pool} samples")
    return int(number)


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
            raise ValueError(f"the score of row {row} ({sample_ids[row]}) is NaN")
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
        raise ValueError(f"sample id {repeated[0]!r} is not unique")
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


def with_text_only(
    scores: ArrayLike,
    has_image: ArrayLike,
    budget: int,
    seed: int,
    policy: str = "proportional",
    *,
    sample_ids: Sequence[str],
    method: str,
) -> Selection:
    """Select the highest scores among samples with an image, and text-only samples by a policy.

    Parameters
    ----------
    scores : array, shape (N,)
        Finite for samples with an image; ignored for the others.
    has_image : bool array, shape (N,)
    budget : int
    seed : int
        Of the draw among text-only samples.
    policy : {"proportional", "drop"}
        `proportional`: text-only samples get their share of the budget (largest remainder), drawn
        at random, after all samples with an image. `drop`: none.
    sample_ids : sequence of str, length N
        For ties and the draw.
    method : str
        Each method has its own draw.

    Returns
    -------
    Selection
        Best scores first, then text-only samples with NaN as score.

    Raises
    ------
    ValueError
        If the policy is unknown, or a score is NaN.
    InfeasibleError
        If `drop` leaves fewer samples than the budget.
    """
    if policy not in TEXT_ONLY:
        raise ValueError(f"text_only {policy!r} is not one of {TEXT_ONLY}")
    has_image = np.asarray(has_image, dtype=bool)
    scores = np.asarray(scores, dtype=np.float64)
    ids = np.asarray(sample_ids, dtype=object)
    with_image, without = np.flatnonzero(has_image), np.flatnonzero(~has_image)
    if policy == "drop":
        share = [budget, 0]
        if budget > len(with_image):
            raise InfeasibleError(
                f"text_only: drop leaves {len(with_image)} samples with an image, "
                f"fewer than the budget of {budget}"
            )
    else:
        share = proportional_split(budget, [len(with_image), len(without)])
    best = with_image[top(scores[with_image], share[0], ids[with_image])]
    drawn = without[draw(ids[without], share[1], seed, f"{method} text_only")]
    values = np.concatenate([scores[best], np.full(len(drawn), np.nan)])
    return Selection(np.concatenate([best, drawn]), values)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _require_room(budget: int, n_pool: int) -> None:
    if not 0 <= budget <= n_pool:
        raise ValueError(f"a budget of {budget} does not fit a pool of {n_pool} samples")
