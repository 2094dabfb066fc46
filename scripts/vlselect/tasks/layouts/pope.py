"""POPE: lines of yes-or-no questions about objects, in one file per category.

A line has ``question_id``, ``image``, ``text``, ``label`` and optionally ``category``; without it,
the category is the last word of the file's name (``coco_pope_adversarial.json``).
"""

import json
from collections.abc import Iterator
from pathlib import Path

from vlselect.pool.records import Rejection
from vlselect.tasks.layouts.question import Question, name_of, paths, text_of, yes_or_no

METRIC = "pope"
PROMPTS = {"en": "{question}\nAnswer the question using a single word or phrase."}
WHOLE = False


def entries(questions: str | list[str]) -> Iterator[tuple[str, tuple[dict, str]]]:
    """Yield name and (item, category) of each line; the name is ``<category>-<question_id>``.

    Question ids restart in each category.
    """
    for path in paths(questions):
        for position, line in enumerate(_lines(path)):
            try:
                item = json.loads(line)
            except ValueError:
                item = None
            own = item.get("category") if isinstance(item, dict) else None
            category = own if isinstance(own, str) and own else path.stem.rpartition("_")[2]
            yield f"{category}-{name_of(item, 'question_id', position)}", (item, category)


def question(name: str, entry: tuple[dict, str]) -> Question:
    """Build one question."""
    item, category = entry
    if item is None:
        raise Rejection("bad_record", "the line is not JSON")
    text, image = text_of(item, "text"), text_of(item, "image")
    label = yes_or_no(text_of(item, "label"))
    return Question(name, text, (label,), image, fields={"category": category})


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        yield from (line for line in file if line.strip())
