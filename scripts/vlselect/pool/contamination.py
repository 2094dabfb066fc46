"""Copies of validation and test records: in the pool, and of test records in validation sets.

A record copies a held-out one if the bytes of their images are equal, image by image, and so is the
text of a question, but for blanks and the places of the images in it. Of a conversation without
images only the first question counts: later ones ("Go on.") say nothing on their own. Whether all
turns are equal is counted beside it. A question with another prompt at its end is no copy, nor is
an image that was saved anew.

Of held-out records only digests are kept. The pool is compared record by record, and images are
read only where some held-out record has the same question.
"""

import argparse
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from vlselect.pool.conversations import IMAGE_MARKER
from vlselect.pool.embedded import locate, short_digest
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.intake import Outcome
from vlselect.pool.records import Record, Rejection
from vlselect.pool.samples import ROW_GROUP, Samples

logger = logging.getLogger(__name__)
ACTIONS = ("exclude", "error")  # of prepare_pool; `warn` leaves the pool as it is
LISTED = 20  # copies that an error names; the log has all
REMEMBERED = 1 << 16  # images whose digests are remembered

HeldOutSet = tuple[str, str]  # task and split
Member = tuple[HeldOutSet, int]  # a record of it, by its row
Digest = Callable[[str], str]  # of the bytes of an image, by its reference


@dataclass(frozen=True)
class Marks:
    """Digests of a record: of its images with each question, and with the whole conversation."""

    questions: frozenset[bytes]
    conversation: bytes


@dataclass(frozen=True)
class Copied:
    """The held-out records that a record copies; those of `conversations` are in `questions`."""

    questions: frozenset[Member]
    conversations: frozenset[Member]

    def __bool__(self) -> bool:
        return bool(self.questions)

    def rejection(self) -> Rejection:
        """Return why the record may not be in the pool, with the first that it copies."""
        (task, split), row = min(self.conversations or self.questions)
        what = "conversation" if self.conversations else "question"
        where = f"row {row} of tasks/{task}/{split}.parquet"
        return Rejection("contaminated", f"the same {what} and images as {where}")


class Overlap:
    """What a place, the pool or a validation set, has of held-out sets.

    Attributes
    ----------
    place : str
        ``pool`` or ``<task>/validation``.
    questions, conversations : dict of (task, split) to set of int
        Rows of held-out records that are copied there: a question, or the whole conversation.
    copies : Counter of (task, split)
        Number of records there that copy some record of a set.
    n : int
        Number of records there that copy any.
    names : list of str
        Ids of the first of them; the log has all.
    """

    def __init__(self, place: str):
        self.place = place
        self.questions: dict[HeldOutSet, set[int]] = defaultdict(set)
        self.conversations: dict[HeldOutSet, set[int]] = defaultdict(set)
        self.copies: Counter[HeldOutSet] = Counter()
        self.n, self.names = 0, []

    def add(self, name: str, copied: Copied) -> None:
        """Count one record of the place, by its id, if it copies anything."""
        if not copied:
            return
        for rows, members in (
            (self.questions, copied.questions),
            (self.conversations, copied.conversations),
        ):
            for which, row in members:
                rows[which].add(row)
        sets = sorted({which for which, _ in copied.questions})
        self.copies.update(sets)
        logger.info("%s: %r copies %s", self.place, name, ", ".join(map("/".join, sets)))
        self.n += 1
        if len(self.names) < LISTED:
            self.names.append(name)

    def first(self) -> str:
        """Return the first of the records that copy something, for a message."""
        more = f" and {self.n - len(self.names)} more, all in the log" if self.n > LISTED else ""
        return ", ".join(map(repr, self.names)) + more


class HeldOut:
    """The validation and test sets of all tasks.

    Attributes
    ----------
    sizes : dict of (task, split) to int
        Number of records of each set that has any.
    """

    def __init__(self):
        self.sizes: dict[HeldOutSet, int] = {}
        self._texts: set[bytes] = set()
        self._questions: dict[bytes, list[Member]] = defaultdict(list)
        self._conversations: dict[bytes, list[Member]] = defaultdict(list)
        self._validation: dict[HeldOutSet, list[tuple[str, Marks]]] = defaultdict(list)

    def add(self, which: HeldOutSet, records: Iterable[Record], digest: Digest) -> None:
        """Add a set, whose images have these digests."""
        for row, record in enumerate(records):
            marks = mark(record, digest)
            self._texts.update(_hash(text, size=8) for text in asked(record))
            for key in marks.questions:
                self._questions[key].append((which, row))
            self._conversations[marks.conversation].append((which, row))
            if which[1] == "validation":
                self._validation[which].append((record.sample_id, marks))
            self.sizes[which] = row + 1

    def copied(self, record: Record, digest: Digest) -> Copied:
        """Find what a record of the pool copies."""
        if self._texts.isdisjoint(_hash(text, size=8) for text in asked(record)):
            return Copied(frozenset(), frozenset())
        return self._look_up(mark(record, digest))

    def overlaps(self) -> list[Overlap]:
        """Compare every validation set with the test sets of all tasks."""
        found = []
        for which, records in self._validation.items():
            overlap = Overlap("/".join(which))
            for name, marks in records:
                overlap.add(name, self._look_up(marks, split="test"))
            found.append(overlap)
        return found

    def _look_up(self, marks: Marks, split: str | None = None) -> Copied:
        def members(lists: Iterable[list[Member]]) -> frozenset[Member]:
            return frozenset(m for found in lists for m in found if split in (None, m[0][1]))

        return Copied(
            members(self._questions.get(key, ()) for key in marks.questions),
            members([self._conversations.get(marks.conversation, ())]),
        )


def screen(
    outcomes: Iterable[Outcome], held_out: HeldOut, digest: Digest, pool: Overlap
) -> Iterator[Outcome]:
    """Reject accepted records that copy held-out ones, as ``contaminated``; count them in `pool`.

    They keep their ids: those of the other samples do not depend on what is held out.
    """
    for outcome in outcomes:
        if outcome.record is not None and (copied := held_out.copied(outcome.record, digest)):
            pool.add(outcome.sample_id, copied)
            outcome = replace(outcome, record=None, rejection=copied.rejection())  # noqa: PLW2901
        yield outcome


def asked(record: Record) -> list[str]:
    """Return the questions of a record that are compared."""
    questions = [plain(turn.text) for turn in record.turns if turn.role == "user"]
    return questions if record.images else questions[:1]


def plain(text: str) -> str:
    """Return a text without the places of its images, its blanks made one."""
    return " ".join(text.replace(IMAGE_MARKER, " ").split())


def mark(record: Record, digest: Digest) -> Marks:
    """Compute the digests of a record from those of its images."""
    images = [digest(reference) for reference in record.images]
    turns = [(turn.role, plain(turn.text)) for turn in record.turns]
    questions = frozenset(_hash(images, question) for question in asked(record))
    return Marks(questions, _hash(images, turns))


def image_digests(roots: ImageRoots) -> Digest:
    """Return a function from an image's reference to the digest of its bytes (128 bits, hex)."""

    @lru_cache(REMEMBERED)
    def digest(reference: str) -> str:
        place = locate(reference.rpartition(":")[2])  # of one in a table, the reference has it
        return short_digest(roots.read(reference)) if place is None else place[2]

    return digest


def read_records(samples: Samples) -> Iterator[Record]:
    """Yield every record of a table, row group by row group."""
    for start in range(0, len(samples), ROW_GROUP):
        yield from samples.records(range(start, min(start + ROW_GROUP, len(samples))))


def add_held_out_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the validation and test sets, each with the location of its images."""
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        nargs=4,
        metavar=("TASK", "SPLIT", "PARQUET", "IMAGES"),
        help="a set that the pool should have no copies of; one flag for each",
    )


def read_held_out(flags: Sequence[Sequence[str]]) -> HeldOut:
    """Read the sets that ``--held-out`` names."""
    held_out = HeldOut()
    digests = {images: image_digests(ImageRoots.parse(images)) for *_, images in flags}
    for task, split, path, images in flags:
        held_out.add((task, split), read_records(Samples(Path(path))), digests[images])
    return held_out


def _hash(*parts: object, size: int = 16) -> bytes:
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=size).digest()
