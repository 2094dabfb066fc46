"""Constraints on a subset: samples in or out, bounds for each source, no near-duplicates.

They hold for every method, because a method only ever chooses among the samples that are still
allowed. First come the samples to keep. Then the method chooses within each source that is below
its minimum, the source with the fewest samples to spare first (ties: by name), and then among the
remaining samples. Each ranking is read from the best on. Samples that a full source or a
near-duplicate rules out are skipped, and the method chooses again among what is left.

For a method that ranks by a score this is the best ranking within the bounds; for a random draw it
is a uniform draw among the allowed samples.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.errors import InfeasibleError, InputError
from vlselect.core.selection import Selection
from vlselect.core.store import read_parquet
from vlselect.pool.samples import Samples, read_ids, unknown_ids
from vlselect.subsets.near_duplicate_lookup import NearDuplicates

logger = logging.getLogger(__name__)

BOUNDS = ("minimum", "maximum", "quota")
KEEP, MINIMUM, METHOD = "keep", "minimum", "method"

Ask = Callable[[np.ndarray, int], Selection]


@dataclass(frozen=True, eq=False)
class Chosen(Selection):
    """A selection with the reason for each row: keep, minimum or method."""

    reasons: tuple[str, ...] = ()


class Constraints:
    """Requirements on every subset of one pool.

    Parameters
    ----------
    pool : DataFrame
        Columns sample_id and source; one row per sample, in row order.
    keep, exclude : sequence of str
        Ids of samples that are always, or never, chosen.
    bounds : mapping of {"minimum", "maximum", "quota"} to mapping of str to number
        For each source a count (a whole number) or a share of the subset (between 0 and 1). Shares
        are exact decimals; minima are rounded up, maxima down, quotas by largest remainder.
    near_duplicates : NearDuplicates, optional
        Which samples are near-duplicates of each other.
    refused : sequence of int
        Rows of samples that a model refused: never chosen.
    gated : sequence of int
        Rows of samples that the gate leaves out: chosen only where they are to be kept.

    Attributes
    ----------
    eligible : bool array, shape (N,)
        Samples that are not excluded, refused or gated, and those to keep.

    Raises
    ------
    ValueError
        If an id or a source is not in the pool, a source has a quota and another bound, or the
        samples to keep contradict the other constraints or are refused.
    """

    def __init__(
        self,
        pool: pd.DataFrame,
        *,
        keep: Sequence[str] = (),
        exclude: Sequence[str] = (),
        bounds: Mapping[str, Mapping[str, float]] | None = None,
        near_duplicates: NearDuplicates | None = None,
        refused: Sequence[int] = (),
        gated: Sequence[int] = (),
    ):
        names, self.source = np.unique(pool["source"].to_numpy(str), return_inverse=True)
        self.names = names.tolist()
        self.bounds = {kind: dict((bounds or {}).get(kind, {})) for kind in BOUNDS}
        self._require_sources()
        self._ids = pool["sample_id"].to_numpy(object)
        self.keep = _rows(self._ids, keep, "keep")
        self.eligible = np.ones(len(pool), dtype=bool)
        self.eligible[_rows(self._ids, exclude, "exclude")] = False
        both = np.intersect1d(self.keep, refused)
        if both.size:
            name = self._ids[both[0]]
            raise InputError(f"constraints.keep: a model that the method reads refuses {name!r}")
        self.eligible[np.asarray(refused, dtype=np.int64)] = False
        self.eligible[np.setdiff1d(gated, self.keep).astype(np.int64)] = False
        self.near_duplicates = near_duplicates or NearDuplicates(len(pool))
        self._require_kept()

    def limits(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the fewest and the most samples of each source, (S,) each, in a subset of n.

        InfeasibleError shows the sum if no subset of n samples meets the bounds.
        """
        least, most = self._least(n), np.full(len(self.names), n)
        for name, value in self.bounds["maximum"].items():
            most[self._place(name)] = math.floor(_amount(value, n))
        quota = self._quotas(n)
        for name, count in quota.items():
            most[self._place(name)] = count
        there = np.bincount(self.source[self.eligible], minlength=len(self.names))
        for name, low, high, found in zip(self.names, least, most, there, strict=True):
            if low > high:
                raise InfeasibleError(
                    f"source {name!r}: at least {low} samples (minimum, quota or keep), but at "
                    f"most {high} of {n}"
                )
            if low > found:
                raise InfeasibleError(f"source {name!r}: {low} samples wanted, {found} eligible")
        if least.sum() > n:
            raise InfeasibleError(f"{self._sum(least)} samples are required, the budget is {n}")
        room = np.minimum(most, there)
        if room.sum() < n:
            raise InfeasibleError(f"{self._sum(room)} samples are allowed, the budget is {n}")
        return least, most

    def smallest(self) -> int:
        """Return the smallest size, at least 1, with room for all that is required."""
        n = 1
        while (required := int(self._least(n).sum())) > n:
            if n > len(self.source):
                raise InfeasibleError(f"{required} samples are required of any subset of {n}")
            n = required
        return n

    def choose(self, ask: Ask, n: int) -> Chosen:
        """Choose n samples; InfeasibleError if constraints or near-duplicates do not allow it.

        `ask` returns a method's choice from rows (ascending) and a number, the best first.
        """
        least, most = self.limits(n)
        walk = _Walk(self, most)
        order = sorted(self.keep, key=lambda row: self._ids[row])
        for row in order:
            walk.take(row, np.nan, KEEP)
        have = np.bincount(self.source[self.keep], minlength=len(self.names))
        wanted = np.maximum(least - have, 0)
        spare = np.bincount(self.source[walk.free], minlength=len(self.names)) - wanted
        for place in np.argsort(spare, kind="stable"):
            where = f"source {self.names[place]!r}"
            walk.fill(ask, int(wanted[place]), self.source == place, MINIMUM, where)
        walk.fill(ask, n - len(walk.rows), self.eligible, METHOD, "the pool")
        rows = np.array(walk.rows, dtype=np.int64)
        counts = ", ".join(f"{walk.reasons.count(why)} {why}" for why in (KEEP, MINIMUM, METHOD))
        logger.info("constraints: %s; the method ran %d times", counts, walk.asked)
        return Chosen(rows, np.array(walk.scores), tuple(walk.reasons))

    def _least(self, n: int) -> np.ndarray:
        """Return the fewest samples of each source, (S,), including those to keep."""
        least = np.zeros(len(self.names), dtype=np.int64)
        for name, value in self.bounds["minimum"].items():
            least[self._place(name)] = math.ceil(_amount(value, n))
        for name, count in self._quotas(n).items():
            least[self._place(name)] = count
        return np.maximum(least, np.bincount(self.source[self.keep], minlength=len(self.names)))

    def _quotas(self, n: int) -> dict[str, int]:
        """Return quotas as counts; shares add up to their rounded sum, by largest remainder."""
        exact = {name: _amount(value, n) for name, value in sorted(self.bounds["quota"].items())}
        counts = {name: math.floor(amount) for name, amount in exact.items()}
        missing = math.floor(sum(exact.values()) + Fraction(1, 2)) - sum(counts.values())
        order = sorted(exact, key=lambda name: counts[name] - exact[name])  # stable: then by name
        return counts | {name: counts[name] + 1 for name in order[: max(missing, 0)]}

    def _place(self, name: str) -> int:
        return self.names.index(name)

    def _sum(self, counts: np.ndarray) -> str:
        """Write out a sum of samples by source."""
        parts = [f"{c} of {name}" for name, c in zip(self.names, counts, strict=True) if c]
        return f"{' + '.join(parts) or 'none'} = {counts.sum()}"

    def _require_sources(self) -> None:
        for kind, values in self.bounds.items():
            unknown = sorted(set(values) - set(self.names))
            if unknown:
                raise InputError(
                    f"constraints.{kind}: no source {', '.join(map(repr, unknown))} in the pool; "
                    f"there are {', '.join(self.names)}"
                )
        others = set(self.bounds["minimum"]) | set(self.bounds["maximum"])
        both = sorted(others & set(self.bounds["quota"]))
        if both:
            raise InputError(f"constraints.quota.{both[0]}: also has a minimum or a maximum")

    def _require_kept(self) -> None:
        out = self.keep[~self.eligible[self.keep]]
        if out.size:
            raise InputError(f"constraints: {self._ids[out[0]]!r} is both kept and excluded")
        kept = set(self.keep.tolist())
        for row in self.keep:
            alike = kept.intersection(self.near_duplicates.of(row).tolist()) - {int(row)}
            if alike:
                raise InputError(
                    f"constraints.keep: {self._ids[row]!r} and {self._ids[min(alike)]!r} are "
                    "near-duplicates of each other"
                )


class _Walk:
    """The samples chosen so far, and those still allowed."""

    def __init__(self, constraints: Constraints, most: np.ndarray):
        self.rows: list[int] = []
        self.scores: list[float] = []
        self.reasons: list[str] = []
        self.asked = 0
        self.free = constraints.eligible.copy()
        self._source, self._near_duplicates = constraints.source, constraints.near_duplicates
        self._room = most.copy()
        for place in np.flatnonzero(most == 0):
            self.free[self._source == place] = False

    def take(self, row: int, score: float, reason: str) -> None:
        """Choose a sample, and rule out its near-duplicates and, if it is full, its source."""
        self.rows.append(int(row))
        self.scores.append(float(score))
        self.reasons.append(reason)
        self.free[row] = False
        self.free[self._near_duplicates.of(row)] = False
        place = self._source[row]
        self._room[place] -= 1
        if self._room[place] == 0:
            self.free[self._source == place] = False

    def fill(self, ask: Ask, count: int, among: np.ndarray, reason: str, where: str) -> None:
        """Choose `count` of the free samples in `among` (bool (N,)), in the order of the method."""
        wanted = count
        while count:
            rows = np.flatnonzero(self.free & among)
            if not len(rows):
                raise InfeasibleError(
                    f"{where} has only {wanted - count} of {wanted} samples: all others are "
                    "near-duplicates of chosen ones"
                )
            found = ask(rows, min(count, len(rows)))
            self.asked += 1
            for row, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
                if self.free[row]:
                    self.take(row, score, reason)
                    count -= 1


def read_constraints(
    samples: Samples,
    pool: pd.DataFrame,
    keep: Path | None = None,
    exclude: Path | None = None,
    bounds: Mapping[str, Mapping[str, float]] | None = None,
    duplicates: Sequence[Path] | None = None,
    part_of_pool: bool = False,
    refused: Sequence[int] = (),
    gated: Sequence[int] = (),
) -> Constraints | None:
    """Read constraints from files; None if there are none.

    Parameters
    ----------
    samples, pool
        The pool's table, and its columns sample_id and source.
    keep, exclude : Path, optional
        Files of ids, see `samples.read_ids`.
    bounds : mapping, optional
        See `Constraints`.
    duplicates : sequence of Path, optional
        Parquet tables row_a, row_b of near-duplicates. If given, even empty, samples with equal
        contents (digests) are near-duplicates as well.
    part_of_pool : bool
        Whether `pool` is a part of what the constraints are about (a trial): ids and sources that
        it does not have are passed over.
    refused, gated : sequence of int
        See `Constraints`.
    """
    if not (keep or exclude or bounds or duplicates is not None):
        return None
    near_duplicates = None
    if duplicates is not None:
        pairs = [read_parquet(path)[["row_a", "row_b"]].to_numpy() for path in duplicates]
        digests = samples.frame(["digest"])["digest"].to_numpy(object)
        near_duplicates = NearDuplicates(
            len(pool), np.concatenate(pairs) if pairs else None, digests
        )
    kept, excluded = (read_ids(path) if path else [] for path in (keep, exclude))
    if part_of_pool:
        ids, sources = set(pool["sample_id"]), set(pool["source"])
        kept, excluded = (list(filter(ids.__contains__, names)) for names in (kept, excluded))
        bounds = {k: {s: v[s] for s in v.keys() & sources} for k, v in (bounds or {}).items()}
    return Constraints(
        pool,
        keep=kept,
        exclude=excluded,
        bounds=bounds,
        near_duplicates=near_duplicates,
        refused=refused,
        gated=gated,
    )


def _amount(value: float, n: int) -> Fraction:
    """Return a bound in samples: whole numbers are counts, values between 0 and 1 shares of n."""
    exact = Fraction(str(value))
    return exact * n if 0 < exact < 1 else exact


def _rows(ids: np.ndarray, wanted: Sequence[str], key: str) -> np.ndarray:
    """Find the distinct rows of these sample ids, ascending."""
    if not len(wanted):
        return np.empty(0, dtype=np.int64)
    known = {name: row for row, name in enumerate(ids)}
    unknown = [name for name in dict.fromkeys(wanted) if name not in known]
    if unknown:
        raise unknown_ids(f"constraints.{key}", unknown, "not in the pool")
    return np.array(sorted({known[name] for name in wanted}), dtype=np.int64)
