"""From records to samples: parse each, check its id and its images, and say why one is refused.

Order-preserving and streaming: a chunk of records is in memory at a time, and of the records
before it only digests of their ids. Images are decoded by threads; they change nothing but time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from vlselect import images
from vlselect.records import Record, Rejection, sample_name

CHUNK = 1024  # records
REMEMBERED = 1 << 17  # image paths whose check is not repeated: some tens of megabytes


@dataclass(frozen=True)
class Outcome:
    """What became of one record: a `record`, or a `rejection`; `raw` is its JSON text."""

    position: int
    raw: str
    sample_id: str
    record: Record | None
    rejection: Rejection | None


@dataclass
class Tally:
    """Counts of outcomes. accepted + rejected = read, always."""

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
        """Give the counts as a JSON object with sorted keys where order says nothing."""
        return {
            "read": self.read,
            "accepted": self.accepted,
            "rejected": self.reasons.total(),
            "rejected_by_reason": dict(sorted(self.reasons.items())),
            "accepted_by_source": dict(sorted(self.sources.items())),
            "n_text_only": self.n_text_only,
            "n_multi_turn": self.n_multi_turn,
            "n_images": self.n_images,
        }

    def describe(self) -> str:
        """Say how many were accepted, and for each reason how many were not, with an example."""
        lines = [f"{self.accepted} of {self.read} records accepted"]
        for reason, count in sorted(self.reasons.items()):
            lines.append(f"  {reason}: {count}, first {self.examples[reason]}")
        return "\n".join(lines)


def examine(
    records: Iterable[tuple[int, str]],
    parse: Callable[[str], Record],
    image_root: str | Path,
    *,
    max_pixels: int,
    workers: int = 1,
) -> Iterator[Outcome]:
    """Judge records one by one.

    Parameters
    ----------
    records : iterable of (int, str)
        Position and JSON text, from `json_stream.read_records`.
    parse : callable
        Gives a record, or raises `Rejection`.
    image_root : str or Path
        Folder that image paths are relative to and may not leave.
    max_pixels : int
        Larger images are refused.
    workers : int
        Threads that decode images.

    Yields
    ------
    Outcome
        In the order of the records. An id belongs to the first accepted record that bears it.
    """
    check = partial(images.problem, image_root, max_pixels=max_pixels)
    check = lru_cache(REMEMBERED)(check)
    seen: set[bytes] = set()
    records = iter(records)
    with ThreadPoolExecutor(workers) as threads:
        while chunk := list(islice(records, CHUNK)):
            parsed = [_attempt(parse, raw) for _, raw in chunk]
            names = dict.fromkeys(n for p in parsed if isinstance(p, Record) for n in p.images)
            problems = dict(zip(names, threads.map(check, names), strict=True))
            for (position, raw), result in zip(chunk, parsed, strict=True):
                yield _judge(position, raw, result, seen, problems)


def _attempt(parse: Callable[[str], Record], raw: str) -> Record | Rejection:
    try:
        return parse(raw)
    except Rejection as rejection:
        # Without its call stack, which would hold on to every record of the chunk.
        return rejection.with_traceback(None)


def _judge(
    position: int,
    raw: str,
    result: Record | Rejection,
    seen: set[bytes],
    problems: dict[str, tuple[str, str] | None],
) -> Outcome:
    """Decide on a parsed record: `seen` holds the ids so far, and gains this one if it is good."""
    if isinstance(result, Rejection):
        return Outcome(position, raw, sample_name(raw), None, result)
    rejection = None
    key = blake2b(result.sample_id.encode(), digest_size=16).digest()
    if key in seen:
        detail = "an earlier record has this id"
        rejection = Rejection("duplicate_id", f"{detail}: {result.sample_id!r}")
    else:
        bad = (problems[name] for name in result.images if problems[name] is not None)
        rejection = next((Rejection(*reason) for reason in bad), None)
    if rejection is not None:
        return Outcome(position, raw, result.sample_id, None, rejection)
    seen.add(key)
    return Outcome(position, raw, result.sample_id, result, None)
