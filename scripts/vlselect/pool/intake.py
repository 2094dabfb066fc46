"""Turn records into samples: parse each one, check its id and images, record why one is rejected.

Streaming and order-preserving: only one chunk of records is in memory, and of earlier records only
digests of their ids. Images are decoded in threads, which affects speed only.
"""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from vlselect.config.record_files import image_location, is_table, record_files
from vlselect.core.errors import InputError
from vlselect.core.json_stream import read_records
from vlselect.pool import images
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.records import ID_KEY, Record, Rejection, sample_name
from vlselect.pool.rejection import nan_as_null
from vlselect.pool.table_stream import read_rows

CHUNK = 1024  # records
REPEATED_IDS = ("reject", "rename")
REMEMBERED = 1 << 19  # images whose check is remembered: about a hundred megabytes


@dataclass(frozen=True)
class Outcome:
    """The result for one record: a `record` or a `rejection`.

    `raw` is its JSON text; where a record is accepted with NaN in it, that is null.
    """

    position: int
    raw: str
    sample_id: str
    record: Record | None
    rejection: Rejection | None


@dataclass
class Tally:
    """Counts of outcomes; accepted + rejected = read."""

    read: int = 0
    accepted: int = 0
    n_text_only: int = 0
    n_multi_turn: int = 0
    n_images: int = 0
    reasons: Counter = field(default_factory=Counter)
    sources: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome; keep the first example of each reason."""
        self.read += 1
        if outcome.rejection is not None:
            reason, detail = outcome.rejection.reason, outcome.rejection.detail
            self.reasons[reason] += 1
            example = f"record {outcome.position}, id {outcome.sample_id!r}: {detail}"
            self.examples.setdefault(reason, example)
            return
        record = outcome.record
        self.accepted += 1
        self.sources[record.source] += 1
        self.n_images += len(record.images)
        self.n_text_only += not record.images
        self.n_multi_turn += record.n_exchanges > 1

    def summary(self) -> dict:
        """Return the counts as a JSON object; mappings are sorted by key."""
        return self.counts() | {
            "rejected_by_reason": dict(sorted(self.reasons.items())),
            "accepted_by_source": dict(sorted(self.sources.items())),
            "n_text_only": self.n_text_only,
            "n_multi_turn": self.n_multi_turn,
            "n_images": self.n_images,
        }

    @classmethod
    def total(cls, tallies: Iterable["Tally"]) -> "Tally":
        """Add up the counts of several tallies."""
        total = cls()
        for tally in tallies:
            for name in ("read", "accepted", "n_text_only", "n_multi_turn", "n_images"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            total.reasons += tally.reasons
            total.sources += tally.sources
            total.examples = tally.examples | total.examples
        return total

    def counts(self) -> dict[str, int]:
        """Return the numbers of records read, accepted and rejected."""
        return {"read": self.read, "accepted": self.accepted, "rejected": self.reasons.total()}

    def describe(self) -> str:
        """Return a text with the number accepted and, for each reason, a count and an example."""
        lines = [f"{self.accepted} of {self.read} records accepted"]
        for reason, count in sorted(self.reasons.items()):
            lines.append(f"  {reason}: {count}, first {self.examples[reason]}")
        return "\n".join(lines)


def read_location(
    location: str | Path, images: str | Path | None = None
) -> Iterator[tuple[int, str]]:
    """Yield position and JSON text of each record of a location, in the order of its files.

    The position is counted from 0 over all files. Bytes in a table are used only if `images` is the
    table itself or None.
    """
    files = record_files(location)
    if is_table(location):
        own = images is None or Path(images) == Path(image_location(location))
        yield from read_rows(files, embedded=own)
    else:
        yield from enumerate(raw for file in files for _, raw in read_records(file))


def examine(
    records: Iterable[tuple[int, str]],
    parse: Callable[[str], Record],
    image_roots: ImageRoots | str | Path,
    *,
    max_pixels: int,
    repeated_ids: str,
    workers: int = 1,
    part: str | None = None,
    id_key: str = ID_KEY,
    exclude: Container[str] = (),
) -> Iterator[Outcome]:
    """Accept or reject records one by one, in order.

    Parameters
    ----------
    records : iterable of (int, str)
        Position and JSON text, from `read_location`.
    parse : callable
        Returns a record, or raises `Rejection`.
    image_roots, max_pixels
        As for `images.load`; larger images are rejected.
    repeated_ids : {"reject", "rename"}
        An id belongs to the first accepted record that has it; later ones are rejected, or renamed
        to the first free one of ``<id>#2``, ``<id>#3``, ….
    workers : int
        Threads that decode images.
    part : str, optional
        Part of a mixture; prefixes the ids of rejected records, as `parse` does for accepted ones.
    id_key : str
        Key of the ids that rejected records are named by, as for `parse`.
    exclude : container of str
        Ids, with part and number, whose records are rejected; the other samples have the ids that
        they would have beside them.
    """
    image_roots = ImageRoots.parse(image_roots)
    check = partial(images.inspect, image_roots, max_pixels=max_pixels)
    inspected: dict[str, int | tuple[str, str]] = {}
    ids = _Ids(repeated_ids)
    records = iter(records)
    with ThreadPoolExecutor(workers) as threads:
        while chunk := list(islice(records, CHUNK)):
            parsed = [_attempt(parse, raw) for _, raw in chunk]
            names = dict.fromkeys(n for p in parsed if isinstance(p, Record) for n in p.images)
            new = [name for name in names if name not in inspected]
            if len(inspected) > REMEMBERED:
                inspected = {name: inspected[name] for name in names if name in inspected}
            inspected.update(zip(new, threads.map(check, new), strict=True))
            for (position, raw), result in zip(chunk, parsed, strict=True):
                if isinstance(result, Rejection):
                    name = sample_name(raw, id_key)
                    name = f"{part}:{name}" if part and name else name
                    yield Outcome(position, raw, name, None, result)
                else:
                    outcome = _judge(position, raw, result, ids, inspected, exclude)
                    yield _explain_made_id(outcome, id_key)


def require_key(outcomes: Iterator[Outcome], key: str) -> Iterator[Outcome]:
    """Pass outcomes on; raises InputError at the end if no record has the key that ids are under.

    Every record may lack `ID_KEY`, but another key was named on purpose.
    """
    read, absent = False, {key} - {ID_KEY}
    for outcome in seek_keys(outcomes, absent):
        read = True
        yield outcome
    if read and absent:
        raise InputError(f"no record has {key!r}, the key of ids in the config (id_key)")


def seek_keys(outcomes: Iterator[Outcome], absent: set[str]) -> Iterator[Outcome]:
    """Pass outcomes on; take those keys out of `absent` that are in a record's text."""
    for outcome in outcomes:
        absent -= {key for key in absent if json.dumps(key, ensure_ascii=False) in outcome.raw}
        yield outcome


class _Ids:
    """The ids of accepted samples: a digest of each, and how often each was repeated."""

    def __init__(self, repeated: str):
        if repeated not in REPEATED_IDS:
            raise ValueError(f"repeated_ids {repeated!r} is not one of {REPEATED_IDS}")
        self._rename = repeated == "rename"
        self._taken: set[bytes] = set()
        self._bearers: Counter[bytes] = Counter()

    def free(self, name: str) -> str | None:
        """Return the id for a record of this name, or None if it is taken."""
        key = self._key(name)
        if key not in self._taken:
            return name
        if not self._rename:
            return None
        while self._key(other := f"{name}#{self._bearers[key] + 2}") in self._taken:
            self._bearers[key] += 1
        return other

    def take(self, name: str) -> None:
        """Mark an id as taken."""
        self._taken.add(self._key(name))

    @staticmethod
    def _key(name: str) -> bytes:
        return blake2b(name.encode(), digest_size=16).digest()


def _attempt(parse: Callable[[str], Record], raw: str) -> Record | Rejection:
    try:
        return parse(raw)
    except Rejection as rejection:
        # Without its call stack, which would keep every record of the chunk in memory.
        return rejection.with_traceback(None)


def _explain_made_id(outcome: Outcome, id_key: str) -> Outcome:
    """Say of a record whose made id is taken that it has none, but an earlier one's content."""
    rejection = outcome.rejection
    if rejection and rejection.reason == "duplicate_id" and not sample_name(outcome.raw, id_key):
        detail = f"it has no {id_key!r}, and an earlier record has the same content"
        return replace(outcome, rejection=Rejection("duplicate_id", detail))
    return outcome


def _judge(
    position: int,
    raw: str,
    result: Record,
    ids: _Ids,
    inspected: dict[str, int | tuple[str, str]],
    exclude: Container[str],
) -> Outcome:
    """Decide on a parsed record; an accepted one takes its id and its images' checksums."""
    found = [inspected[name] for name in result.images]
    rejection = None
    name = ids.free(result.sample_id)
    if name is None:
        detail = "an earlier record has this id"
        rejection = Rejection("duplicate_id", f"{detail}: {result.sample_id!r}")
    elif name in exclude:
        ids.take(name)
        return Outcome(
            position, raw, name, None, Rejection("excluded", "its id is in pool.exclude")
        )
    else:
        bad = (reason for reason in found if not isinstance(reason, int))
        rejection = next((Rejection(*reason) for reason in bad), None)
    if rejection is not None:
        return Outcome(position, raw, result.sample_id, None, rejection)
    ids.take(name)
    accepted = replace(result, sample_id=name, checksums=tuple(found))
    return Outcome(position, nan_as_null(raw), name, accepted, None)
