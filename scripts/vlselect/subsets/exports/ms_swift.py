"""ms-swift: JSON lines of ``messages`` and ``images``, for ``--dataset``.

ms-swift resolves image paths from its working directory (or ROOT_IMAGE_DIR), so they are absolute.
A system prompt is the first message.
"""

from collections.abc import Iterable
from pathlib import Path

from vlselect.pool.records import Record
from vlselect.subsets.exports.image_files import ImageFiles
from vlselect.subsets.exports.json_lines import write_messages


def write(records: Iterable[Record], images: ImageFiles, folder: Path) -> None:
    """Write ``train.jsonl``."""
    write_messages(records, images.absolute, folder / "train.jsonl")
