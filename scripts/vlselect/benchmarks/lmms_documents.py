"""Test samples as documents of lmms_eval, and what its task files call on them.

A document is a line of JSON: `answers`, and, as texts of their own so that all lines have one form,
`messages` (the conversation up to its last question, in content parts) and `images`. Runs in
lmms_eval's process, whose environment need not have everything that ours has: torch-free.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from vlselect.models import chat
from vlselect.pool import images
from vlselect.pool.samples import Samples


def documents(test: Path, image_root: str, max_pixels: int) -> Iterator[dict]:
    """Give the document of each sample of a test.parquet, in order.

    Parameters
    ----------
    test : Path
        The task's table.
    image_root : str
        Where its images are, relative to the folder that lmms_eval runs in.
    max_pixels : int
        Larger images are errors.
    """
    samples = Samples(test)
    answers = samples.frame(["answers"])["answers"]
    for record, right in zip(samples.records(range(len(samples))), answers, strict=True):
        last = max(i for i, turn in enumerate(record.turns) if turn.role == "user")
        asked = chat.chat_messages(replace(record, turns=record.turns[: last + 1]))
        yield {
            "id": record.sample_id,
            "messages": json.dumps(asked, ensure_ascii=False),
            "images": json.dumps(record.images, ensure_ascii=False),
            "image_root": image_root,
            "max_pixels": max_pixels,
            "answers": list(right),
        }


def doc_to_visual(document: dict) -> list[Image.Image]:
    """Load the images, as ours do: upright, RGB, from where they lie."""
    return [
        images.load(document["image_root"], reference, document["max_pixels"])
        for reference in json.loads(document["images"])
    ]


def doc_to_text(document: dict, lmms_eval_specific_kwargs: dict | None = None) -> str:
    """Give the last question, for adapters that take no messages; prompts are part of it."""
    last = json.loads(document["messages"])[-1]
    return "\n".join(part["text"] for part in last["content"] if part["type"] == "text")


def doc_to_messages(document: dict, lmms_eval_specific_kwargs: dict | None = None) -> list[dict]:
    """Give the conversation with its images in their places."""
    loaded = iter(doc_to_visual(document))
    messages = json.loads(document["messages"])
    for message in messages:
        for part in message["content"]:
            if part["type"] == "image":
                part["url"] = next(loaded)
    return messages
