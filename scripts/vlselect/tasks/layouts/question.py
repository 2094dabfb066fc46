"""Questions of a benchmark, and what the layouts share to build them.

A layout is a module of this folder that reads one benchmark's own files:

    METRIC       default metric of the tasks built from it
    PROMPTS      by language, the prompt for the model; {question} stands for the question's text
    WHOLE        True if a test set must have all questions about an image, or none
    entries(**files) -> iterator of (name, item)
    question(name, item) -> Question

The arguments of `entries` are the layout's keys in the config. `question` raises
`records.Rejection` for an item that it cannot build. Standard library only, since the workflow
imports it too.

Reasons of rejection: bad_record, no_annotation, no_question, no_answer, bad_answer, bad_choices,
bad_image; for a whole set (`make_task`): duplicate_id, image_in_test.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlselect.core.errors import InputError
from vlselect.pool.records import Rejection

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Question:
    """One question of a benchmark.

    Attributes
    ----------
    name : str
        The benchmark's own id, or one made by the layout; it becomes the sample's id.
    text : str
        With context and options, if it has them, without the prompt.
    answers : tuple of str
        The right ones, in the form that the metric needs.
    image : str, bytes or None
        Path relative to the image root, or the file's content if the benchmark embeds it.
    choices : tuple of str
        Texts of the options, in order.
    fields : mapping
        Further keys of the record.
    only_test : bool
        True if it repeats another question (in another order of the options), so that it may not
        be a validation sample.
    """

    name: str
    text: str
    answers: tuple[str, ...]
    image: str | bytes | None
    choices: tuple[str, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    only_test: bool = False

    @property
    def response(self) -> str:
        """The most frequent answer; the first of equally frequent ones."""
        return Counter(filter(str.strip, self.answers)).most_common(1)[0][0]


def read_json(path: str | Path, kind: type = dict) -> object:
    """Read a JSON file that holds an object, or with ``kind=object`` any value.

    Raises ValueError, naming the path, if it does not.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise InputError(f"{path} holds {type(value).__name__}, not an object")
    return value


def paths(value: str | Sequence[str]) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(value)] if isinstance(value, str) else [Path(path) for path in value]


def name_of(item: object, key: str, position: int) -> str:
    """Return an item's id, or its position in the file if it has none."""
    value = item.get(key) if isinstance(item, Mapping) else None
    return f"#{position}" if value is None else str(value)


def text_of(item: object, key: str) -> str:
    """Return a text, which may not be missing or blank; an integer is converted.

    Raises Rejection, ``bad_record``, naming the key.
    """
    if not isinstance(item, Mapping):
        raise Rejection("bad_record", f"the item is {type(item).__name__}, not an object")
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        found = "missing" if value is None else type(value).__name__
        raise Rejection("bad_record", f"{key!r} is {found}, not a text")
    if not str(value).strip():
        raise Rejection("bad_record", f"{key!r} is empty")
    return str(value)


def yes_or_no(answer: str) -> str:
    """Return a right answer in lower case; Rejection, ``bad_answer``, if it is not yes or no."""
    label = answer.strip().lower()
    if label not in ("yes", "no"):
        raise Rejection("bad_answer", f"the answer {answer!r} is not yes or no")
    return label


def with_options(question: str, context: str, choices: Sequence[str]) -> str:
    """Return context, question and lettered options, one per line.

    Raises Rejection, ``bad_choices``, for fewer than two options or more than letters.
    """
    if not 2 <= len(choices) <= len(LETTERS):
        raise Rejection("bad_choices", f"{len(choices)} options")
    options = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([*([context] if context else []), question, *options])
