"""Instruction records: what a conversation with images must be, and why one is turned away.

Two forms are read. LLaVA has ``conversations`` of ``from``/``value`` and must bear an ``id``;
ShareGPT has ``messages`` of ``role``/``content``, and an id made from the content where it has
none. Either may name one image or a list of them, under ``image`` or ``images``. Torch-free.

Reasons of rejection
--------------------
not_an_object, invalid_json, invalid_unicode, bad_number, bad_type, unsupported_media,
no_id, duplicate_id, empty_conversation, unknown_role, one_sided_conversation, wrong_turn_order,
empty_turn, image_count_mismatch; of its images (`images`): missing_image, unreadable_image,
truncated_image, oversized_image, image_outside_root; of task records: no_answer, no_response.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

IMAGE_MARKER = "<image>"
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_FORMS = {"conversations": ("from", "value"), "messages": ("role", "content")}
_OTHER_MEDIA = ("video", "videos", "audio", "audios")


class Rejection(Exception):  # noqa: N818 (an outcome, not always an error)
    """A record is not accepted: `reason` is one of the stable codes, `detail` says why."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Turn:
    """One message; `role` is system, user or assistant, `text` keeps its ``<image>`` markers."""

    role: str
    text: str


@dataclass(frozen=True)
class Record:
    """One sample: `images` are paths relative to the image root, `turns` alternate user first."""

    sample_id: str
    source: str
    images: tuple[str, ...]
    turns: tuple[Turn, ...]

    @property
    def n_exchanges(self) -> int:
        """Number of user turns: 1 for a single question, more for a conversation."""
        return sum(turn.role == "user" for turn in self.turns)


@dataclass(frozen=True)
class TaskRecord(Record):
    """A sample of a target task, with the answers it is scored on and the options it offers."""

    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def parse_record(
    raw: str, source_key: str | None = None, *, require_response: bool = True
) -> Record:
    """Read one record from its JSON text and check its conversation (not its image files).

    Parameters
    ----------
    raw : str
        JSON of one LLaVA or ShareGPT record.
    source_key : str, optional
        Key whose value, where the record has one, names its source. Otherwise the source is the
        first folder of its first image, ``images`` for an image in no folder, ``text`` for none.
    require_response : bool
        Whether the conversation must end with the assistant; a question may stand alone if not.

    Returns
    -------
    Record

    Raises
    ------
    Rejection
        With the reason and what is wrong.
    """
    return _build(parse_object(raw), source_key, require_response)


def parse_task_record(
    raw: str, source_key: str | None = None, *, require_response: bool = False
) -> TaskRecord:
    """Read one record of a task: a record with answers, and with choices where it offers some.

    Answers are the list ``answers`` (of strings, or of objects with an ``answer``, as in VQA v2),
    else ``answer``, else the last response. A question without a response is a fine test record.
    A validation record needs its response, on which gradients are taken: it is not made up from
    the answers, since that would train on a text that nobody wrote.

    Raises
    ------
    Rejection
        As `parse_record`, and ``no_answer``, ``no_response``.
    """
    value = parse_object(raw)
    record = _build(value, source_key, require_response=False)
    if require_response and record.turns[-1].role != "assistant":
        raise Rejection("no_response", "the last turn is the user's; gradients need a response")
    answers = _answers(value, record)
    choices = _texts(value.get("choices") or [], "choices")
    return TaskRecord(**vars(record), answers=answers, choices=choices)


def parse_object(raw: str) -> dict:
    """Read a JSON object whose texts are all Unicode and whose numbers are all finite.

    Raises
    ------
    Rejection
        ``invalid_json``, ``not_an_object``, ``invalid_unicode`` or ``bad_number``.
    """
    _require_unicode(raw, "a byte that is not UTF-8")
    try:
        value = json.loads(raw, parse_float=_finite, parse_constant=_finite)
        _require_unicode(json.dumps(value, ensure_ascii=False), "a lone surrogate")
    except json.JSONDecodeError as error:
        raise Rejection("invalid_json", f"{error.msg}, character {error.pos}") from error
    except RecursionError as error:
        raise Rejection("invalid_json", "values are nested too deeply") from error
    except ValueError as error:
        raise Rejection("bad_number", "an integer of too many digits") from error
    if not isinstance(value, dict):
        raise Rejection("not_an_object", f"the record is {_kind(value)}: {_shorten(raw)}")
    return value


def sample_name(raw: str) -> str:
    """Give the id that a rejected record bears, as far as one can be read; else nothing."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    name = value.get("id") if isinstance(value, dict) else None
    name = "" if name is None or isinstance(name, dict | list) else _text(name)
    return name.encode("utf-8", "backslashreplace").decode()


def content_digest(images: Sequence[str], turns: Sequence[Turn]) -> str:
    """Sha256 (hex) of a record's content: its image paths and its turns, not its id or source."""
    content = [list(images), [[turn.role, turn.text] for turn in turns]]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _build(value: dict, source_key: str | None, require_response: bool) -> Record:
    form = _form(value)
    turns = _turns(value[form], *_FORMS[form])
    _check_order([turn.role for turn in turns], require_response)
    images = _images(value)
    _check_markers(turns, images)
    name = value.get("id")
    if isinstance(name, dict | list):
        raise Rejection("bad_type", f"'id' is {_kind(name)}, not a text or a number")
    if name is None and form == "messages":
        name = content_digest(images, turns)[:16]
    if name is None or not _text(name).strip():
        raise Rejection("no_id", "'id' is missing or empty")
    return Record(_text(name), _source(value, source_key, images), images, turns)


def _form(value: dict) -> str:
    """Which key holds the conversation."""
    present = [key for key in _FORMS if value.get(key) is not None]
    if not present:
        raise Rejection("empty_conversation", "neither 'conversations' nor 'messages'")
    if len(present) > 1:
        raise Rejection("bad_type", "both 'conversations' and 'messages' are given")
    for key in _OTHER_MEDIA:
        if value.get(key):
            raise Rejection("unsupported_media", f"the record has {key!r}; only images are read")
    return present[0]


def _turns(messages: object, role_key: str, text_key: str) -> tuple[Turn, ...]:
    """Read the messages; an empty system prompt says nothing and is left out."""
    if not isinstance(messages, list):
        raise Rejection("bad_type", f"the conversation is {_kind(messages)}, not a list")
    if not messages:
        raise Rejection("empty_conversation", "the conversation has no turns")
    turns = []
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict):
            raise Rejection("bad_type", f"turn {number} is {_kind(message)}, not an object")
        for key in (role_key, text_key):
            if not isinstance(message.get(key), str):
                kind = _kind(message[key]) if key in message else "missing"
                raise Rejection("bad_type", f"{key!r} of turn {number} is {kind}, not a text")
        role, text = ROLES.get(message[role_key]), message[text_key]
        if role is None:
            raise Rejection("unknown_role", f"turn {number} is by {_shorten(message[role_key])}")
        if not text.strip() and role != "system":
            raise Rejection("empty_turn", f"turn {number} ({role}) has no text")
        if text.strip():
            turns.append(Turn(role, text))
    return tuple(turns)


def _check_order(roles: list[str], require_response: bool) -> None:
    """Require user and assistant in turn, user first, after at most one system turn."""
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


def _images(value: dict) -> tuple[str, ...]:
    """Read the image paths, under either name, alone or in a list."""
    given = [key for key in ("image", "images") if value.get(key) is not None]
    if len(given) > 1:
        raise Rejection("bad_type", "both 'image' and 'images' are given")
    if not given:
        return ()
    names = value[given[0]]
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list):
        raise Rejection("bad_type", f"{given[0]!r} is {_kind(names)}, not a path or a list")
    for name in names:
        if not isinstance(name, str) or not name.strip():
            kind = "an empty text" if isinstance(name, str) else _kind(name)
            raise Rejection("bad_type", f"{given[0]!r} holds {kind}, not a path")
    return tuple(names)


def _check_markers(turns: Sequence[Turn], images: Sequence[str]) -> None:
    for number, turn in enumerate(turns, start=1):
        if turn.role != "user" and IMAGE_MARKER in turn.text:
            detail = f"turn {number} ({turn.role}) holds {IMAGE_MARKER}; only user turns may"
            raise Rejection("image_count_mismatch", detail)
    n_markers = sum(turn.text.count(IMAGE_MARKER) for turn in turns)
    if n_markers != len(images):
        detail = f"{n_markers} {IMAGE_MARKER} markers, {len(images)} images"
        raise Rejection("image_count_mismatch", detail)


def _source(value: dict, source_key: str | None, images: Sequence[str]) -> str:
    named = value.get(source_key) if source_key else None
    if isinstance(named, dict | list):
        raise Rejection("bad_type", f"{source_key!r} is {_kind(named)}, not a text or a number")
    if named is not None and _text(named).strip():
        return _text(named)
    if not images:
        return "text"
    folders = PurePosixPath(images[0]).parts[:-1]
    return folders[0] if folders else "images"


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
        raise Rejection("bad_type", f"{key!r} is {_kind(values)}, not a list")
    for value in values:
        if value is None or isinstance(value, dict | list):
            raise Rejection("bad_type", f"{key!r} holds {_kind(value)}, not a text or a number")
    return tuple(_text(value) for value in values)


def _text(value: str | float | bool) -> str:
    """Write a JSON scalar as a text: a string as it is, anything else as in JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _kind(value: object) -> str:
    """Name a JSON value's type in a reader's words."""
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return names.get(type(value), "true or false" if isinstance(value, bool) else "a number")


def _shorten(text: str, width: int = 60) -> str:
    return repr(text if len(text) <= width else text[:width] + "…")


def _finite(literal: str) -> float:
    """Read a number; NaN, infinity and what overflows to it cannot be handed on."""
    number = float(literal)
    if number - number != 0:
        raise Rejection("bad_number", f"{_shorten(literal)} is not a finite number")
    return number


def _require_unicode(text: str, what: str) -> None:
    """Refuse lone surrogates: escaped ones, or bytes that stand for what was not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.end]
        raise Rejection("invalid_unicode", f"{what}: {ascii(around)}") from error
