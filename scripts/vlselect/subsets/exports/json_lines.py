"""JSON lines of messages and images, for programs that read them with the library `datasets`."""

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from vlselect.core.store import replacing
from vlselect.pool.records import Record

logger = logging.getLogger(__name__)

EARLY = 4 << 20  # bytes, within the 10 MiB from which `datasets` infers column types


def write_messages(records: Iterable[Record], locate: Callable[[str], str], path: Path) -> None:
    """Write JSON lines of id, messages of role and content, and images as `locate` returns them.

    An empty list has no type: if all images in the first 10 MiB are empty lists, `datasets` takes
    the column for nulls, and fails at the first image. So if the first image comes later than
    `EARLY`, its record moves to the front; the others keep their order.
    """
    first = None  # of the records with images: byte, length
    position = 0
    with path.open("wb") as file:
        for record in records:
            value = {
                "id": record.sample_id,
                "messages": [{"role": turn.role, "content": turn.text} for turn in record.turns],
                "images": [locate(reference) for reference in record.images],
            }
            line = json.dumps(value, ensure_ascii=False).encode() + b"\n"
            if record.images and first is None:
                first = position, len(line)
            file.write(line)
            position += len(line)
    if first is not None and first[0] > EARLY:
        logger.info("the first record with images, at byte %d, is moved to the front", first[0])
        _move_to_front(path, *first)


def _move_to_front(path: Path, start: int, length: int) -> None:
    """Move `length` bytes of a file, from byte `start` on, to its beginning."""
    with replacing(path) as temporary, path.open("rb") as source, temporary.open("wb") as target:
        size = path.stat().st_size
        for begin, end in ((start, start + length), (0, start), (start + length, size)):
            source.seek(begin)
            _copy(source, target, end - begin)


def _copy(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length:
        block = source.read(min(length, 1 << 20))
        target.write(block)
        length -= len(block)
