"""The chosen samples' ids, one on each line, in the order of the pool."""

from collections.abc import Iterable
from pathlib import Path

from vlselect.exports.image_files import ImageFiles
from vlselect.records import Record


def write(records: Iterable[Record], images: ImageFiles, folder: Path) -> None:
    """Write ``ids.txt``.

    Raises
    ------
    ValueError
        If an id holds a line break.
    """
    with (folder / "ids.txt").open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            if "\n" in record.sample_id or "\r" in record.sample_id:
                raise ValueError(f"sample id {record.sample_id!r} holds a line break")
            file.write(f"{record.sample_id}\n")
