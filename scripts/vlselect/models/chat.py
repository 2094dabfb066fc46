"""Convert conversations to chat messages, and find each text in what a chat template renders.

Torch-free: this module handles characters and masks only; `vlm` applies the template (`Render`)
and makes tensors of the result.
"""

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np

from vlselect.core.errors import InputError
from vlselect.pool.records import IMAGE_MARKER, Record

_MARK = re.compile("\ue000(\\d+)\ue001")

_TALK = [
    {"role": role, "content": [{"type": "text", "text": f"\ue000{i}\ue001"}]}
    for i, role in enumerate(("user", "assistant", "user", "assistant"))
]
_INTRODUCED = [{"role": "system", "content": [{"type": "text", "text": "\ue0004\ue001"}]}, *_TALK]
_STRINGS = (  # roles whose turns may be strings, in the order in which they are tried
    *((), ("system",), ("system", "user", "assistant"), ("system", "assistant"), ("assistant",)),
    *(("user", "assistant"), ("system", "user"), ("user",)),
)
_SAID = {"system": "the system prompt", "user": "the question", "assistant": "the response"}
_THOUGHT = "</think>"

PROCESSOR = "processor"  # reason of a refusal that is none of the known ones

Span = tuple[int, int]  # first character, one past the last
Render = Callable[[list[dict]], str]


class MaskError(InputError):
    """The responses of a sample cannot be located in the output of the chat template."""


class Refused(MaskError):  # noqa: N818 (an outcome, not always an error)
    """A model cannot take this one sample; `reason` is a code of refused.csv (docs/models.md)."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class _Text:
    """A text part of a message: whether it is the `last` text of its turn, and `ends` the turn."""

    role: str
    text: str
    last: bool
    ends: bool


def locate_texts(
    record: Record, render: Render, closings: Sequence[str] = (), end: str | None = None
) -> tuple[str, dict[str, list[Span]]]:
    """Render a conversation and find the characters of every text in it, by role.

    The messages are rendered twice, once with a private-use mark in place of each text. The marks
    show where the template puts the texts, which it may change only by trimming them. A response
    that the template does not close is closed here: the end token comes right after it, before any
    white space or text between turns, so that a model learns to stop there. White space after the
    end of the conversation is removed.

    Parameters
    ----------
    record : Record
    render : callable
        Applies a chat template to messages.
    closings : sequence of str
        Tokens with which the template closes an assistant's turn, see `turn_closings`.
    end : str or None
        Token that closes the turns that the template leaves open; None leaves them open.

    Returns
    -------
    text : str
        The rendered conversation, with every response closed.
    spans : dict of str to list of (int, int)
        Spans of the texts of each role: system, user, assistant. An assistant's span includes the
        token that closes the turn.

    Raises
    ------
    MaskError
        If the template alters, drops, repeats or reorders texts of the user or assistant.
    """
    plain = chat_messages(record)
    text = render(plain)
    marked, texts = _mark(plain)
    shown = render(marked)
    pieces = _MARK.split(shown)  # literal, number, literal, …, number, literal
    numbers = [int(number) for number in pieces[1::2]]
    said = [i for i, part in enumerate(texts) if part.role != "system"]
    if [i for i in numbers if texts[i].role != "system"] != said:
        raise _refusal("drops, repeats or reorders texts of the conversation")
    if not any(part.role == "assistant" for part in texts):
        raise MaskError("there is no response")
    close = re.compile(rf"\s*(?:{'|'.join(map(re.escape, closings)) or '(?!)'})")
    spans: dict[str, list[Span]] = {"system": [], "user": [], "assistant": []}
    place = len(pieces[0]) if text.startswith(pieces[0]) else -1
    for number, literal in zip(numbers, pieces[2::2], strict=True):
        part = texts[number]
        stop = _end(text, place, part.text, literal)
        if place < 0 or stop < 0:
            raise _alteration(plain, shown, render)
        start, place, left_open = place, stop + len(literal), False
        if part.role == "assistant" and part.last:
            closing = close.match(text, stop)
            left_open = closing is None and (part.ends or not literal.strip())
            stop = closing.end() if closing else stop
        if left_open and end:
            text = text[:stop] + end + text[stop:]
            stop, place = stop + len(end), place + len(end)
        spans[part.role].append((start, stop))
    if place != len(text):
        raise _alteration(plain, shown, render)
    return text[:stop] if left_open and end and not text[stop:].strip() else text, spans


def string_roles(render: Render) -> frozenset[str]:
    """Return the roles whose turns a template takes as one string only, not as a list of parts.

    The first choice that lets the template show each text of a short conversation once and in
    order: with a system prompt, or without one where the template has no place for it.
    """
    for talk, order in ((_INTRODUCED, "40123"), (_TALK, "0123")):
        for roles in _STRINGS:
            try:
                shown = _MARK.findall(render(with_strings(talk, roles)))
            except MaskError:
                continue
            if shown == list(order):
                return frozenset(roles)
    return frozenset()


def turn_closings(render: Render, tokens: Sequence[str], end: str | None = None) -> list[str]:
    """Find the tokens that a template writes right after an assistant's text.

    Parameters
    ----------
    render : callable
        Applies a chat template to messages.
    tokens : sequence of str
        The special and other added tokens, which the tokenizer never splits.
    end : str or None
        The tokenizer's end-of-sequence token.

    Returns
    -------
    list of str
        Empty if plain text closes turns. A token that starts the conversation does not count,
        unless it is the end-of-sequence token or also stands at the very end.
    """
    pieces = _MARK.split(render(_TALK))
    after = {int(n): literal for n, literal in zip(pieces[1::2], pieces[2::2], strict=True)}
    longest = sorted(tokens, key=len, reverse=True)
    token = re.compile(rf"\s*({'|'.join(map(re.escape, longest)) or '(?!)'})")
    middle, last = (token.match(after.get(i, "")) for i in (1, 3))
    found = [last[1]] if last else []
    if middle and middle[1] not in found and (middle[1] == end or middle[1] not in pieces[0]):
        found.append(middle[1])
    return found


def chat_messages(record: Record) -> list[dict]:
    """Return chat messages with content parts: an image part for each ``<image>``, else text parts.

    White space around a turn's text is removed, also next to images, since templates add their own.
    Line breaks between an image and text are removed too.
    """
    chat = []
    for turn in record.turns:
        pieces = [re.sub(r"^\s*\n\s*|\s*\n\s*$", "", p) for p in turn.text.split(IMAGE_MARKER)]
        said = [i for i, piece in enumerate(pieces) if piece.strip()]
        if said:
            pieces[said[0]] = pieces[said[0]].lstrip()
            pieces[said[-1]] = pieces[said[-1]].rstrip()
        content: list[dict] = []
        for i, piece in enumerate(pieces):
            content += [{"type": "image"}] if i else []
            content += [{"type": "text", "text": piece}] if i in said else []
        chat.append({"role": turn.role, "content": content})
    return chat


def with_strings(messages: list[dict], roles: Container[str]) -> list[dict]:
    """Turn messages of some roles with a single text into string content, see `string_roles`.

    Texts next to images stay parts; some templates read them under ``content``.
    """
    given = []
    for message in messages:
        if message["role"] not in roles:
            given.append(message)
            continue
        parts = [
            part | {"content": part["text"]} if part["type"] == "text" else part
            for part in message["content"]
        ]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        content = texts[0] if len(texts) == len(parts) == 1 else parts
        given.append({"role": message["role"], "content": content})
    return given


def _mark(messages: list[dict], keep: int = -1) -> tuple[list[dict], list[_Text]]:
    """Replace each text, except number `keep`, by a numbered private-use mark; return the messages
    and the texts.
    """
    texts: list[_Text] = []
    marked = []
    for message in messages:
        content = []
        for place, part in enumerate(message["content"], start=1):
            if part["type"] == "text":
                rest = message["content"][place:]
                last = all(other["type"] != "text" for other in rest)
                texts.append(_Text(message["role"], part["text"], last, not rest))
                if len(texts) - 1 != keep:
                    part = {"type": "text", "text": f"\ue000{len(texts) - 1}\ue001"}
            content.append(part)
        marked.append({"role": message["role"], "content": content})
    return marked, texts


def _end(text: str, start: int, part: str, literal: str) -> int:
    """Return where a text at `start`, trimmed or not, ends before `literal`; -1 if absent."""
    for form in _forms(part):
        if text.startswith(form + literal, max(start, 0)):
            return start + len(form)
    return -1


def _forms(part: str) -> tuple[str, ...]:
    """Return a text as templates may write it: as it is, or trimmed."""
    return part, part.rstrip(), part.lstrip(), part.strip()


def _alteration(messages: list[dict], shown: str, render: Render) -> MaskError:
    """Name the first text that a template alters, or that changes what stands around it.

    Each text is rendered among marks for the others; `shown` is the conversation of marks only.
    """
    for number, part in enumerate(_mark(messages)[1]):
        alone = render(_mark(messages, keep=number)[0])
        mark = f"\ue000{number}\ue001"
        if alone in {shown.replace(mark, form) for form in _forms(part.text)}:
            continue
        what = f"does not render {_SAID[part.role]} {part.text[:40]!r} as it is"
        if _THOUGHT in part.text:
            what += f" (to it, {_THOUGHT!r} ends a thought that it moves or drops; "
            what += f"`pool.forbidden: [{_THOUGHT!r}]` rejects such records)"
        return _refusal(what)
    return _refusal("renders the texts otherwise together than alone")


def _refusal(what: str) -> MaskError:
    return MaskError(
        f"the chat template {what}, so response tokens cannot be identified; use a processor whose "
        "template keeps every text in its place"
    )


def expand(text: str, replacements: list[dict]) -> str:
    """Replace each image placeholder by the processor's own text."""
    pieces, last = [], 0
    for replacement in replacements:
        start, stop = replacement["span"]
        pieces += [text[last:start], replacement["replacement"]]
        last = stop
    return "".join([*pieces, text[last:]])


def shift(span: Span, replacements: list[dict]) -> Span:
    """Move a character span past the image placeholders expanded before it."""
    gained = [0, *(r["new_span"][1] - r["span"][1] for r in replacements)]
    before = sum(r["span"][1] <= span[0] for r in replacements)
    return span[0] + gained[before], span[1] + gained[before]


def cover(offsets: np.ndarray, spans: list[Span]) -> np.ndarray:
    """Mark the tokens (T,) whose characters overlap any of the spans; empty tokens never do."""
    mask = np.zeros(len(offsets), dtype=bool)
    for start, stop in spans:
        mask |= (offsets[:, 0] < stop) & (offsets[:, 1] > start)
    return mask
