"""What every layout gives: questions of a benchmark, with answers and what their metric reads.

A layout is a module of this folder that says how one benchmark's own files are read:

    METRIC       metric of the tasks built from it, where the config names none
    PROMPTS      by language, how a question is put to the model; {question} stands for its text
    WHOLE        True where a test set must have all questions about an image, or none
    entries(**files) -> iterator of (name, item)
    question(name, item) -> Question

The arguments of `entries` are the layout's keys in the config. What `question` cannot build it
refuses with `records.Rejection`. Standard library only: the workflow looks at it too.

Reasons of rejection: bad_record, no_annotation, no_question, no_answer, bad_answer, bad_choices,
bad_image; of a set of them (`make_task`): duplicate_id, image_in_test.
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
        The benchmark's own id, or what makes one: it is the sample's id.
    text : str
        With its context and options, where it has them, and without the prompt.
    answers : tuple of str
        The right ones, as the metric wants them.
    image : str, bytes or None
        Path relative to the image root, the file itself where a benchmark embeds it, or nothing.
    choices : tuple of str
        Texts of the options, in their order.
    fields : mapping
        Further keys of the record.
    only_test : bool
        Whether it says nothing that another question does not, and so is no validation sample.
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
        """The most frequent answer; of several, the one that is given first."""
        return Counter(filter(str.strip, self.answers)).most_common(1)[0][0]


def read_json(path: str | Path, kind: type = dict) -> object:
    """Read a JSON file that holds an object; with ``kind=object``, or anything else.

    Raises
    ------
    ValueError
        If it does not; names the path.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise InputError(f"{path} holds {type(value).__name__}, not an object")
    return value


def paths(value: str | Sequence[str]) -> list[Path]:
    """One path or several, as the config may give either."""
    return [Path(value)] if isinstance(value, str) else [Path(path) for path in value]


def name_of(item: object, key: str, position: int) -> str:
    """Give an item's id for messages, its position in the file where it has none."""
    value = item.get(key) if isinstance(item, Mapping) else None
    return f"#{position}" if value is None else str(value)


def text_of(item: object, key: str) -> str:
    """Read a text that may not be missing or blank; a number is read as one.

    Raises
    ------
    Rejection
        ``bad_record``, naming the key.
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
    """Read a right answer that has to be yes or no.

    Raises
    ------
    Rejection
        ``bad_answer``.
    """
    label = answer.strip().lower()
    if label not in ("yes", "no"):
        raise Rejection("bad_answer", f"the answer {answer!r} is not yes or no")
    return label


def with_options(question: str, context: str, choices: Sequence[str]) -> str:
    """Write context, question and lettered options below one another.

    Raises
    ------
    Rejection
        ``bad_choices``, if there are fewer than two or more than letters.
    """
    if not 2 <= len(choices) <= len(LETTERS):
        raise Rejection("bad_choices", f"{len(choices)} options")
    options = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([*([context] if context else []), question, *options])
