"""Test samples as documents of lmms_eval, and the functions that its task files call on them.

A document is a line of JSON: `answers`, `messages` (the conversation up to its last question, in
content parts), `images` and their `checksums`; the last three are JSON texts, so that all lines
have one schema. Runs in lmms_eval's process, whose environment may lack our packages: torch-free.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from vlselect.models import chat
from vlselect.pool import images
from vlselect.pool.records import Record
from vlselect.pool.samples import Samples


def documents(test: Path, image_root: str, max_pixels: int) -> Iterator[dict]:
    """Yield the document of each sample of a test.parquet, in order.

    `image_root` is relative to the working directory of lmms_eval; images above `max_pixels` are
    errors.
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
            "checksums": json.dumps(record.checksums),
            "image_root": image_root,
            "max_pixels": max_pixels,
            "answers": list(right),
        }


def doc_to_visual(document: dict) -> list[Image.Image]:
    """Load the images as our own benchmarks do: upright, RGB."""
    named, known = (tuple(json.loads(document[name])) for name in ("images", "checksums"))
    record = Record(document["id"], "", named, (), known)
    return images.load_all(document["image_root"], record, document["max_pixels"])


def doc_to_text(document: dict, lmms_eval_specific_kwargs: dict | None = None) -> str:
    """Return the last question with its prompt, for adapters that take no messages."""
    last = json.loads(document["messages"])[-1]
    return "\n".join(part["text"] for part in last["content"] if part["type"] == "text")


def doc_to_messages(document: dict, lmms_eval_specific_kwargs: dict | None = None) -> list[dict]:
    """Return the conversation with its images in place."""
    loaded = iter(doc_to_visual(document))
    messages = json.loads(document["messages"])
    for message in messages:
        for part in message["content"]:
            if part["type"] == "image":
                part["url"] = next(loaded)
    return messages
