"""Instruction records: what makes a conversation with images valid, and why records are rejected.

`conversations` describes the forms that are read. A record without an id gets one made from its
content. In a part of a mixture, ids and images are prefixed with the part's name and a colon, so
that ids of two datasets cannot collide. All reasons of rejection are listed in `rejection`.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vlselect.pool.conversations import IMAGE_MARKER, Turn, read_conversation
from vlselect.pool.embedded import content_name, is_embedded
from vlselect.pool.rejection import Rejection, kind, parse_object, shorten

__all__ = ["IMAGE_MARKER", "Record", "Rejection", "TaskRecord", "Turn", "parse_object"]
LONGEST = 4096  # characters of an id or a source
ID_KEY = "id"  # of all records but those of a pool whose config names another
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")  # with those that XML cannot hold
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Record:
    """One sample: `images` are references (see `image_roots`), `turns` alternate, user first.

    `checksums` are those of the images' files (`images.inspect`); none before they are read.
    """

    sample_id: str
    source: str
    images: tuple[str, ...]
    turns: tuple[Turn, ...]
    checksums: tuple[int, ...] = field(default=(), compare=False)

    @property
    def n_exchanges(self) -> int:
        """Number of user turns: 1 for a single question, more for a conversation."""
        return sum(turn.role == "user" for turn in self.turns)


@dataclass(frozen=True)
class TaskRecord(Record):
    """A sample of a target task, with the answers it is scored on and its options."""

    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def parse_record(
    raw: str,
    source_key: str | None = None,
    *,
    require_response: bool = True,
    part: str | None = None,
    forbidden: Sequence[str] = (),
    id_key: str = ID_KEY,
    locate: Callable[[str], str] = str,
) -> Record:
    """Read one record from its JSON text and check its conversation (not its image files).

    Parameters
    ----------
    raw : str
    source_key : str, optional
        Key of the record's source. Without the key, or in a record without it, the source is the
        part or, in a pool without parts, the first folder of the first image, ``images`` for an
        image in no folder, ``text`` for a record without images.
    require_response : bool
        Whether the conversation must end with the assistant.
    part : str, optional
        Part of a mixture, which prefixes the id and the images.
    forbidden : sequence of str
        Texts that no turn may contain, such as the image token of the model.
    id_key : str
        Key of the record's id.
    locate : callable
        Returns an image's path below its root from the path in the record (`ImageRoots.locator`).

    Raises
    ------
    Rejection
    """
    record = _build(parse_object(raw), source_key, require_response, part, id_key, locate)
    for number, turn in enumerate(record.turns, start=1):
        for text in forbidden:
            if text in turn.text:
                raise Rejection("forbidden_text", f"turn {number} holds {text!r}")
    return record


def parse_task_record(
    raw: str,
    source_key: str | None = None,
    *,
    require_response: bool = False,
    locate: Callable[[str], str] = str,
) -> TaskRecord:
    """Read one record of a task: a record with answers and, optionally, choices.

    Answers are the list ``answers`` (of strings, or of objects with an ``answer``, as in VQA v2),
    else ``answer``, else the last response. A test record may be a question without a response. A
    validation record needs a response, since gradients are computed on it; it is not made up from
    the answers, which would train on a text that no one wrote.

    Raises Rejection as `parse_record`, also ``no_answer`` and ``no_response``.
    """
    value = parse_object(raw)
    record = _build(value, source_key, require_response=False, locate=locate)
    if require_response and record.turns[-1].role != "assistant":
        raise Rejection("no_response", "the last turn is the user's; gradients need a response")
    answers = _answers(value, record)
    choices = _texts(value.get("choices") or [], "choices")
    return TaskRecord(**vars(record), answers=answers, choices=choices)


def sample_name(raw: str, id_key: str = ID_KEY) -> str:
    """Return the id of a rejected record if it can be read, else ""."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    name = value.get(id_key) if isinstance(value, dict) else None
    name = "" if name is None or isinstance(name, dict | list) else _text(name)[:LONGEST]
    return name.encode("utf-8", "backslashreplace").decode()


def content_digest(images: Sequence[str], turns: Sequence[Turn]) -> str:
    """Return the sha256 (hex) of a record's images and turns; its id and source do not count.

    An image counts by its path, or by its bytes if they are stored in a table.
    """
    names = [content_name(reference) for reference in images]
    text = _ENCODE([names, [[turn.role, turn.text] for turn in turns]])
    return hashlib.sha256(text.encode()).hexdigest()


def _build(
    value: dict,
    source_key: str | None,
    require_response: bool,
    part: str | None = None,
    id_key: str = ID_KEY,
    locate: Callable[[str], str] = str,
) -> Record:
    turns, images = read_conversation(value)
    images = tuple(map(locate, images))
    _check_order([turn.role for turn in turns], require_response)
    name = value.get(id_key)
    if isinstance(name, dict | list):
        raise Rejection("bad_type", f"{id_key!r} is {kind(name)}, not a text or a number")
    if name is None:
        name = content_digest(images, turns)[:16]
    name = _text(name)
    if not name.strip():
        raise Rejection("no_id", f"{id_key!r} is empty")
    _require_label(name, repr(id_key), "bad_id")
    source = _source(value, source_key) or part or _first_folder(images)
    _require_label(source, "the source", "bad_source")
    if part is None:
        return Record(name, source, images, turns)
    images = tuple(f"{part}:{image}" for image in images)
    return Record(f"{part}:{name}", source, images, turns)


def _require_label(text: str, what: str, reason: str) -> None:
    """Check a text that stands in tables, figures and pages as it is."""
    if len(text) > LONGEST:
        raise Rejection(reason, f"{what} is a text of {len(text)} characters, over {LONGEST}")
    if _CONTROL.search(text):
        raise Rejection(reason, f"{what} holds a control character: {shorten(text)}")


def _check_order(roles: list[str], require_response: bool) -> None:
    """Check that user and assistant alternate, user first, after at most one system turn."""
    needed = ("user", "assistant") if require_response else ("user",)
    for role in needed:
        if role not in roles:
            raise Rejection("one_sided_conversation", f"no turn by the {role}")
    offset = int(roles[0] == "system")
    for i, role in enumerate(roles[offset:]):
        expected = ("user", "assistant")[i % 2]
        if role != expected:
            detail = f"turn {i + offset + 1} is by the {role}, expected the {expected}"
            raise Rejection("wrong_turn_order", detail)
    if require_response and roles[-1] != "assistant":
        raise Rejection("wrong_turn_order", "the last turn, by the user, has no response")


def _source(value: dict, source_key: str | None) -> str | None:
    """Return the source that a record names; The Cauldron stores it with the texts."""
    if not source_key:
        return None
    named, texts = value.get(source_key), value.get("texts")
    if named is None and isinstance(texts, list) and texts and isinstance(texts[0], dict):
        named = texts[0].get(source_key)
    if isinstance(named, dict | list):
        raise Rejection("bad_type", f"{source_key!r} is {kind(named)}, not a text or a number")
    return _text(named) if named is not None and _text(named).strip() else None


def _first_folder(images: Sequence[str]) -> str:
    if not images:
        return "text"
    names = [name for name in images[0].split("/") if name not in ("", ".")]
    return names[0] if len(names) > 1 and not is_embedded(images[0]) else "images"


def _answers(value: dict, record: Record) -> tuple[str, ...]:
    answers = value.get("answers") or []
    if isinstance(answers, list):
        answers = [a.get("answer") if isinstance(a, dict) else a for a in answers]
    if not answers and value.get("answer") is not None:
        answers = [value["answer"]]
    if not answers and record.turns[-1].role == "assistant":
        answers = [record.turns[-1].text]
    texts = _texts(answers, "answers")
    if not any(text.strip() for text in texts):
        raise Rejection("no_answer", "no 'answers', no 'answer' and no response at the end")
    return texts


def _texts(values: object, key: str) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise Rejection("bad_type", f"{key!r} is {kind(values)}, not a list")
    for value in values:
        if value is None or isinstance(value, dict | list):
            raise Rejection("bad_type", f"{key!r} holds {kind(value)}, not a text or a number")
    return tuple(_text(value) for value in values)


def _text(value: str | float | bool) -> str:
    """Return a JSON scalar as text: a string unchanged, anything else as in JSON."""
    return value if isinstance(value, str) else json.dumps(value)
