"""Read the turns and images of a record, in each form of instruction data.

====================  ==========================================================================
LLaVA                 ``conversations`` of ``from`` and ``value``; ``image``: a path or a list
ShareGPT              ``messages`` (or ``conversations``) of ``role`` and ``content``; ``images``
content parts         the same, ``content`` a list of ``{"type": "text", "text": ..}`` and
                      ``{"type": "image"}``, with its own path under ``image``, ``path``, ``url``
                      or ``image_url``, or else the next of ``images``
The Cauldron          ``texts`` of ``user`` and ``assistant``; ``images``, all shown at the start
====================  ==========================================================================

The text of a turn has ``<image>`` wherever an image is shown; content parts are joined without a
separator. An image is a path, or an object with a ``path``; an image stored in a table has a
reference to its bytes under ``bytes`` (`embedded`). Where there is none, its key may be missing,
or hold null or nothing. The messages may also be one object of lists, which is how the library
`datasets` stores a sequence of objects. Torch-free.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from vlselect.pool.embedded import is_embedded
from vlselect.pool.rejection import Rejection, kind, shorten

IMAGE_MARKER = "<image>"
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
FORMS = ("conversations", "messages", "texts")
# Our exports for LLaVA have a system prompt before the first question, and here as it was.
SYSTEM_KEY = "system_in_first_turn"
SYSTEM_BREAK = "\n\n"  # between the system prompt and the question
LONGEST_PATH = 4096  # characters; anything longer is image data, not a path
_KEYS = (("from", "value"), ("role", "content"))
_OTHER_MEDIA = ("video", "videos", "audio", "audios")
_IMAGE_KEYS = ("image", "images")
_PATH_KEYS = ("image", "path", "url", "image_url")
_BASE64 = re.compile(r"(iVBORw0KGgo|/9j/|R0lGOD|UklGR)[A-Za-z0-9+/\s]{60}")  # PNG, JPEG, GIF, WebP
_AS_TEXT = "holds an image as text; write it to a file and name its path"
_BY_COLUMNS = (
    "if the file is a table written column by column, write it row by row "
    '(pandas: to_json(orient="records"))'
)
_URL = re.compile(r"(?!file://(localhost)?/)[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Turn:
    """One message; `role` is system, user or assistant, `text` keeps its ``<image>`` markers."""

    role: str
    text: str


def read_conversation(value: dict) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Read the turns of a record and its images, in the order of their markers.

    Returns
    -------
    turns : tuple of Turn
        Without empty system prompts.
    images : tuple of str
        Paths or references, one per marker.

    Raises
    ------
    Rejection
        ``empty_conversation``, ``bad_type``, ``unsupported_media``, ``unknown_role``,
        ``empty_turn``, ``missing_image``, ``image_url`` or ``image_count_mismatch``.
    """
    form = _form(value)
    images = _images(value)
    if form == "texts":
        turns = _pairs(value[form], len(images))
    else:
        turns, images = _turns(_messages(value[form]), images)
        turns = _split_system(turns, value.get(SYSTEM_KEY))
    empty = next((key for key in _IMAGE_KEYS if key in value), None) if not images else None
    _check_markers(turns, images, empty)
    return turns, images


def _form(value: dict) -> str:
    """Return the key that holds the conversation."""
    present = [key for key in FORMS if value.get(key) is not None]
    if not present:
        raise Rejection(
            "empty_conversation", f"no 'conversations', 'messages' or 'texts'{_whole_file(value)}"
        )
    if present[:2] == ["conversations", "messages"]:
        raise Rejection("bad_type", "both 'conversations' and 'messages' are given")
    for key in _OTHER_MEDIA:
        if value.get(key):
            raise Rejection("unsupported_media", f"the record has {key!r}; only images are read")
    return present[0]


def _whole_file(value: dict) -> str:
    """Return what to do with an object that holds the records instead of being one, if it may."""
    for key, item in value.items():
        if key not in _IMAGE_KEYS and isinstance(item, list) and item and isinstance(item[0], dict):
            return f"; if {shorten(key)} holds the records, write that list alone"
    nested = value and all(isinstance(item, dict) for item in value.values())
    return "; if these are several records, write them as a list" if nested else ""


def _messages(messages: object) -> list[dict]:
    """Return the messages as a list of objects; an object of lists is converted."""
    if isinstance(messages, dict) and messages:
        columns = list(messages.values())
        if not any(key in messages for pair in _KEYS for key in pair):
            what = f"an object of {shorten(next(iter(messages)))}"
            raise Rejection("bad_type", f"the conversation is {what}; {_BY_COLUMNS}")
        if all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
            messages = [dict(zip(messages, row, strict=True)) for row in zip(*columns, strict=True)]
    if not isinstance(messages, list):
        raise Rejection("bad_type", f"the conversation is {kind(messages)}, not a list")
    if not messages:
        raise Rejection("empty_conversation", "the conversation has no turns")
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict):
            cure = f"; {_BY_COLUMNS}" if isinstance(message, list) else ""
            raise Rejection("bad_type", f"turn {number} is {kind(message)}, not an object{cure}")
    return messages


def _turns(
    messages: list[dict], given: tuple[str, ...]
) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Read messages; each marker takes the next of the images `given` with the record."""
    role_key, text_key = _KEYS[messages[0].get("from") is None]
    turns, shown, rest = [], [], iter(given)
    for number, message in enumerate(messages, start=1):
        said, text = message.get(role_key), message.get(text_key)
        if isinstance(text, list):
            text = "".join(_parts(text, number, shown, rest))
        elif isinstance(text, str) and IMAGE_MARKER in text:
            shown += islice(rest, text.count(IMAGE_MARKER))
        if not (isinstance(said, str) and isinstance(text, str)):
            key, found = (text_key, text) if isinstance(said, str) else (role_key, said)
            what = kind(found) if key in message else "missing"
            raise Rejection("bad_type", f"{key!r} of turn {number} is {what}, not a text")
        role = ROLES.get(said)
        if role is None:
            raise Rejection("unknown_role", f"turn {number} is by {shorten(said)}")
        blank = not text or text.isspace()
        if blank and role != "system":
            raise Rejection("empty_turn", f"turn {number} ({role}) has no text")
        if not blank:
            turns.append(Turn(role, text))
    return tuple(turns), (*shown, *rest)


def _parts(parts: list, number: int, shown: list[str], rest: Iterator[str]) -> Iterator[str]:
    """Yield the text of each content part, or an image marker; append the images to `shown`."""
    for part in parts:
        if not isinstance(part, dict):
            raise Rejection("bad_type", f"a part of turn {number} is {kind(part)}, not an object")
        what = part.get("type")
        if what == "text":
            text = part.get("text")
            if not isinstance(text, str):
                raise Rejection("bad_type", f"a text part of turn {number} is {kind(text)}")
            shown += islice(rest, text.count(IMAGE_MARKER))
            yield text
        elif what in ("image", "image_url"):
            own = next((part[key] for key in _PATH_KEYS if not _is_empty(part.get(key))), None)
            shown += islice(rest, 1) if own is None else [_image_name(own, f"turn {number}")]
            yield IMAGE_MARKER
        elif isinstance(what, str):
            detail = f"turn {number} has a part of type {shorten(what)}; only text and image"
            raise Rejection("unsupported_media", detail)
        else:
            raise Rejection("bad_type", f"the type of a part of turn {number} is {kind(what)}")


def _pairs(texts: object, n_images: int) -> tuple[Turn, ...]:
    """Read The Cauldron's pairs; images without markers are shown before the first question."""
    turns = []
    for number, pair in enumerate(_messages(texts), start=1):
        for role in ("user", "assistant"):
            text = pair.get(role)
            if not isinstance(text, str):
                raise Rejection("bad_type", f"{role!r} of text {number} is {kind(text)}")
            if not text.strip():
                raise Rejection("empty_turn", f"text {number} ({role}) is empty")
            turns.append(Turn(role, text))
    if not any(IMAGE_MARKER in turn.text for turn in turns):
        turns[0] = Turn("user", IMAGE_MARKER * n_images + turns[0].text)
    return tuple(turns)


def _images(value: dict) -> tuple[str, ...]:
    """Read the record's own images, from ``image`` or ``images``."""
    given = [key for key in _IMAGE_KEYS if not _is_empty(value.get(key))]
    if len(given) > 1:
        raise Rejection("bad_type", "both 'image' and 'images' are given")
    if not given:
        return ()
    names = value[given[0]]
    names = names if isinstance(names, list) else [names]
    return tuple(_image_name(name, repr(given[0])) for name in names)


def _is_empty(image: object) -> bool:
    """Return whether what may be an image, or a list of them, is none: null or nothing."""
    if isinstance(image, dict):
        return all(map(_is_empty, image.values()))
    if isinstance(image, list):
        return all(map(_is_empty, image))
    return image is None or (isinstance(image, str) and not image.strip())


def _image_name(image: object, where: str) -> str:
    """Return the path of an image, or the reference to its bytes."""
    if isinstance(image, dict):
        if is_embedded(image.get("bytes")):
            return image["bytes"]
        content = image.get("bytes")
        image = next((image[key] for key in ("path", "url") if image.get(key)), None)
        if image is None and isinstance(content, str) and content:
            raise Rejection("unsupported_media", f"{where} {_AS_TEXT}")
        if image is None:
            raise Rejection("missing_image", f"{where}: an image with neither bytes nor a path")
    if not isinstance(image, str) or not image.strip():
        what = "an empty text" if isinstance(image, str) else kind(image)
        raise Rejection("bad_type", f"{where} holds {what}, not a path")
    if image.startswith("data:") or len(image) > LONGEST_PATH or _BASE64.match(image):
        raise Rejection("unsupported_media", f"{where} {_AS_TEXT}")
    if _URL.match(image):
        cure = "nothing is downloaded: save it below the image root and name its path"
        raise Rejection("image_url", f"{where} names {shorten(image)}; {cure}")
    return image


def _split_system(turns: tuple[Turn, ...], system: object) -> tuple[Turn, ...]:
    """Take the system prompt that our export for LLaVA put before the first question out again."""
    first = turns[0] if turns else Turn("", "")
    if not isinstance(system, str) or not first.text.startswith(system + SYSTEM_BREAK):
        return turns
    question = Turn(first.role, first.text.removeprefix(system + SYSTEM_BREAK))
    return (Turn("system", system), question, *turns[1:])


def _check_markers(turns: Sequence[Turn], images: Sequence[str], empty: str | None) -> None:
    """Check that there is one image for each marker; `empty` is a key that holds none, if any."""
    n_markers = 0
    for number, turn in enumerate(turns, start=1):
        here = turn.text.count(IMAGE_MARKER)
        if here and turn.role != "user":
            detail = f"turn {number} ({turn.role}) holds {IMAGE_MARKER}; only user turns may"
            raise Rejection("image_count_mismatch", detail)
        n_markers += here
    if n_markers and empty:
        raise Rejection("missing_image", f"{n_markers} {IMAGE_MARKER} markers, {empty!r} is empty")
    if n_markers != len(images):
        detail = f"{n_markers} {IMAGE_MARKER} markers, {len(images)} images"
        raise Rejection("image_count_mismatch", detail)
