"""LLaVA: one JSON list of ``id``, ``image`` and ``conversations`` of ``from`` and ``value``.

LLaVA opens ``image_folder/image``. If the pool has one image folder, the records' own paths are
kept, so that the export can replace the full JSON in a training script with its own
``--image_folder``. Otherwise paths are relative to the export, which is then the image folder.

LLaVA takes the system prompt from its conversation template, and its trainer stops (KeyError) at a
turn that is neither ``human`` nor ``gpt``. So a record's system prompt is put before its first
question, and kept under `SYSTEM_KEY`, which LLaVA ignores; read as a pool, it is a turn again.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from vlselect.pool.conversations import SYSTEM_BREAK, SYSTEM_KEY
from vlselect.pool.records import Record
from vlselect.subsets.exports.image_files import ImageFiles

SPEAKERS = {"user": "human", "assistant": "gpt"}


def write(records: Iterable[Record], images: ImageFiles, folder: Path) -> None:
    """Write ``train.json``, one record per line."""
    with (folder / "train.json").open("w", encoding="ascii", newline="\n") as file:
        separator = "[\n"
        for record in records:
            # ASCII only: LLaVA opens the file in its machine's default encoding.
            file.write(separator + json.dumps(_entry(record, images)))
            separator = ",\n"
        file.write("\n]\n" if separator == ",\n" else "[]\n")


def _entry(record: Record, images: ImageFiles) -> dict:
    system = [turn.text for turn in record.turns if turn.role == "system"]
    turns = [turn for turn in record.turns if turn.role != "system"]
    said = [{"from": SPEAKERS[turn.role], "value": turn.text} for turn in turns]
    entry: dict = {"id": record.sample_id}
    paths = [images.in_folder(reference) for reference in record.images]
    if paths:  # a record without the key is text only
        entry["image"] = paths[0] if len(paths) == 1 else paths
    entry["conversations"] = said
    if system:
        said[0]["value"] = system[0] + SYSTEM_BREAK + said[0]["value"]
        entry[SYSTEM_KEY] = system[0]
    return entry
