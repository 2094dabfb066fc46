"""MMBench: a table (TSV) of multiple-choice questions with base64 images.

The metric needs each question in all circular shifts of its options. A file that has them (its
``index`` is shift · 10⁶ + question) is used unchanged; for a question that appears once, the shifts
are made.
"""

import base64
import binascii
import csv
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from vlselect.core.errors import InputError
from vlselect.pool.records import Rejection
from vlselect.tasks.layouts.question import LETTERS, Question, paths, text_of, with_options

METRIC = "mmbench"
PROMPTS = {
    "en": "{question}\nAnswer with the option's letter from the given choices directly.",
    "cn": "{question}\n请直接回答选项字母。",
}
WHOLE = True  # a question counts as right only if it is right in every shift
EMBEDDED = True  # images are written to files
SHIFT = 10**6
REFERENCE = 64  # an image cell of at most this many digits is the index of the row with the image
COLUMNS = ("index", "question", "answer", "image", "A", "B")


@dataclass(frozen=True)
class Entry:
    """A row of the table, how far its options are shifted, and its image cell."""

    row: dict[str, str]
    shift: int
    image: str | None


def entries(questions: str | list[str], circular: bool = True) -> Iterator[tuple[str, Entry]]:
    """Yield index and entry of each row of the tables, followed by the shifts made from it.

    Shifts are made, if `circular`, for questions that appear in one order only. The tables are read
    three times, since an image may be in a later row.
    """
    counts, cells = Counter(), {}
    wanted = {row["image"] for row in _rows(questions) if _refers(row["image"])}
    for row in _rows(questions):
        counts[_question(row["index"])] += 1
        if row["index"] in wanted and not _refers(row["image"]):
            cells[row["index"]] = row["image"]
    for row in _rows(questions):
        cell = cells.get(row["image"]) if _refers(row["image"]) else row["image"]
        yield row["index"], Entry(row, 0, cell)
        if circular and row["index"].isdecimal() and counts[_question(row["index"])] == 1:
            for shift in range(1, len(_options(row))):
                yield str(int(row["index"]) + shift * SHIFT), Entry(row, shift, cell)


def question(name: str, entry: Entry) -> Question:
    """Build one question in one order of its options; the answer is the right option's letter."""
    row, options = entry.row, _options(entry.row)
    if not name.isdecimal():
        raise Rejection("bad_record", f"'index' is {name!r}, not a number")
    if [row.get(letter, "") for letter in LETTERS[: len(options)]] != options:
        raise Rejection("bad_choices", "an empty option comes before a non-empty one")
    moved = options[entry.shift :] + options[: entry.shift]
    hint = row.get("hint", "").strip()
    text = with_options(text_of(row, "question"), hint, moved)
    answer = row["answer"].strip().upper()
    if not answer:
        raise Rejection("no_answer", "the column 'answer' is empty")
    if len(answer) > 1 or answer not in LETTERS[: len(options)]:
        raise Rejection("bad_answer", f"{row['answer']!r} is not one of {len(options)} options")
    letter = LETTERS[(LETTERS.index(answer) - entry.shift) % len(options)]
    fields = {"index": int(name), "category": row.get("category") or None}
    fields = {key: value for key, value in fields.items() if value is not None}
    shifted = int(name) >= SHIFT
    return Question(name, text, (letter,), _decode(entry.image), tuple(moved), fields, shifted)


def _rows(questions: str | list[str]) -> Iterator[dict[str, str]]:
    limit = csv.field_size_limit(sys.maxsize)  # of the process, not of one reader
    try:
        for path in paths(questions):
            with path.open(encoding="utf-8-sig", newline="") as file:
                table = csv.DictReader(file, delimiter="\t", restval="")
                missing = set(COLUMNS) - set(table.fieldnames or ())
                if missing:
                    raise InputError(f"{path} has no column {', '.join(sorted(missing))}")
                yield from table
    finally:
        csv.field_size_limit(limit)


def _options(row: dict[str, str]) -> list[str]:
    return [row[letter] for letter in LETTERS if row.get(letter, "").strip()]


def _question(index: str) -> int | str:
    return int(index) % SHIFT if index.isdecimal() else index


def _refers(cell: str) -> bool:
    return len(cell) <= REFERENCE and cell.isdecimal()


def _decode(cell: str | None) -> bytes:
    if not cell:
        raise Rejection("bad_image", "no image, and no row that has it")
    try:
        return base64.b64decode(cell, validate=True)
    except binascii.Error as error:
        raise Rejection("bad_image", f"the image is not base64: {error}") from error
