"""Ids of the chosen samples, one on each line, in the order of the pool."""

from collections.abc import Iterable
from pathlib import Path

from vlselect.pool.records import Record
from vlselect.subsets.exports.image_files import ImageFiles


def write(records: Iterable[Record], images: ImageFiles, folder: Path) -> None:
    """Write ``ids.txt``; ids of a pool hold no line breaks."""
    with (folder / "ids.txt").open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(f"{record.sample_id}\n")
