"""Which records a trial takes: a choice by hash that keeps the share of every source.

The hash is of what a record says, so that the choice depends neither on the order of the records
nor on their files. What cannot be parsed is a stratum of its own, None: a trial meets its share.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b

from vlselect.core.ordering import proportional_split
from vlselect.pool.records import Record, Rejection

Texts = Iterable[tuple[int, str]]  # position and JSON of records, as from `intake.read_location`
Place = tuple[bytes, str | None, int]  # hash, part, position


def places(
    records: Texts, parse: Callable[[str], Record], part: str | None = None
) -> Iterable[tuple[str | None, Place]]:
    """Yield the source and the place of each record, from its text alone: no image is opened."""
    for position, raw in records:
        try:
            record = parse(raw)
            source, said = record.source, (record.sample_id, record.turns)
        except Rejection:
            source, said = None, raw
        key = blake2b(repr(said).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        yield source, (key, part, position)


def choose(found: Iterable[tuple[str | None, Place]], n: Callable[[int], int]) -> tuple[set, int]:
    """Choose n(number of records) of them: (part, position) of each, and how many were read."""
    strata: dict[str | None, list[Place]] = {}
    for source, place in found:
        strata.setdefault(source, []).append(place)
    sizes = {source: len(strata[source]) for source in sorted(strata, key=lambda s: s or "")}
    read = sum(sizes.values())
    counts = seats(sizes, n(read)).items()
    return {place[1:] for source, k in counts for place in sorted(strata[source])[:k]}, read


def seats(sizes: Mapping[str | None, int], n: int) -> dict[str | None, int]:
    """Divide n, or the sum of the sizes if less, among strata in proportion to their sizes.

    Every source has at least one if n allows it, at the cost of the stratum with most; None, what
    cannot be parsed, has no such right.
    """
    n = min(n, sum(sizes.values()))
    split = proportional_split(n, list(sizes.values()))
    given = dict(zip(sizes, map(int, split), strict=True))
    empty = [source for source, k in given.items() if not k and source is not None]
    for source in empty if n >= len(sizes.keys() - {None}) else ():
        given[max(given, key=given.get)] -= 1
        given[source] = 1
    return given
