"""ms-swift: JSON lines of ``messages`` and ``images``, for ``--dataset``.

ms-swift looks for images from the folder that it is started in (or from ROOT_IMAGE_DIR), so their
paths are absolute. A system prompt is the first message.
"""

from collections.abc import Iterable
from pathlib import Path

from vlselect.pool.records import Record
from vlselect.subsets.exports.image_files import ImageFiles
from vlselect.subsets.exports.json_lines import write_messages


def write(records: Iterable[Record], images: ImageFiles, folder: Path) -> None:
    """Write ``train.jsonl``."""
    write_messages(records, images.absolute, folder / "train.jsonl")
