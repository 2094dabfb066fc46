"""From conversations to chat messages, and from a rendered template back to each text's place.

Torch-free: everything here is about characters and masks. `vlm` turns the result into tensors.
"""

import re
from collections.abc import Callable

import numpy as np

from vlselect.records import Record

IMAGE_MARKER = "<image>"
_MARK = re.compile("\ue000(\\d+)\ue001")

Span = tuple[int, int]  # first character, one past the last


class MaskError(ValueError):
    """The responses of a sample cannot be found in what the chat template made of it."""


def locate_texts(
    record: Record, render: Callable[[list[dict]], str]
) -> tuple[str, dict[str, list[Span]]]:
    """Render a conversation and find the characters of every text in it, by role.

    The same messages are rendered twice, once with a private-use mark for each text. The marks
    show where the template puts the texts; that it changes none of them is checked.

    Parameters
    ----------
    record : Record
        The conversation.
    render : callable
        Applies a chat template to messages.

    Returns
    -------
    text : str
        The rendered conversation.
    spans : dict of str to list of (int, int)
        Spans of the texts of each role: system, user, assistant.

    Raises
    ------
    MaskError
        If the template alters or drops a response.
    """
    plain = messages(record)
    text = render(plain)
    marked, texts = _mark(plain)
    pieces = _MARK.split(render(marked))  # literal, number, literal, …, number, literal
    spans: dict[str, list[Span]] = {"system": [], "user": [], "assistant": []}
    rebuilt = pieces[0]
    for number, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        role, part = texts[int(number)]
        spans[role].append((len(rebuilt), len(rebuilt) + len(part)))
        rebuilt += part + literal
    expected = sum(role == "assistant" for role, _ in texts)
    if rebuilt != text or len(spans["assistant"]) != expected or not expected:
        raise MaskError(
            f"sample {record.sample_id!r}: the chat template does not render the texts of the "
            "conversation as they are, so its response tokens cannot be told apart; give the "
            "processor a template that does"
        )
    return text, spans


def messages(record: Record) -> list[dict]:
    """Chat messages with content parts: each ``<image>`` an image part, the text around it text."""
    chat = []
    for turn in record.turns:
        content: list[dict] = []
        for i, piece in enumerate(turn.text.split(IMAGE_MARKER)):
            if i:
                content.append({"type": "image"})
            if piece.strip():
                content.append({"type": "text", "text": piece.strip()})
        chat.append({"role": turn.role, "content": content})
    return chat


def _mark(messages: list[dict]) -> tuple[list[dict], list[tuple[str, str]]]:
    """Put a numbered private-use mark for each text; give the messages and (role, text) by number.

    Non-assistant texts of a template that drops them (a system turn, say) simply leave no mark.
    """
    texts: list[tuple[str, str]] = []
    marked = []
    for message in messages:
        content = []
        for part in message["content"]:
            if part["type"] == "text":
                texts.append((message["role"], part["text"]))
                part = {"type": "text", "text": f"\ue000{len(texts) - 1}\ue001"}
            content.append(part)
        marked.append({"role": message["role"], "content": content})
    return marked, texts


def shift(span: tuple[int, int], replacements: list[dict]) -> tuple[int, int]:
    """Move a character span past the image placeholders that the processor expanded before it."""
    gained = [0, *(r["new_span"][1] - r["span"][1] for r in replacements)]
    before = sum(r["span"][1] <= span[0] for r in replacements)
    return span[0] + gained[before], span[1] + gained[before]


def cover(offsets: np.ndarray, spans: list[tuple[int, int]]) -> np.ndarray:
    """Mark the tokens (T,) whose characters overlap any of the spans; empty tokens never do."""
    mask = np.zeros(len(offsets), dtype=bool)
    for start, stop in spans:
        mask |= (offsets[:, 0] < stop) & (offsets[:, 1] > start)
    return mask


def closing(response: np.ndarray, special: np.ndarray) -> np.ndarray:
    """Mark the special token that directly follows each response: it ends the turn."""
    after = np.zeros_like(response)
    after[1:] = response[:-1] & ~response[1:]
    return after & special
