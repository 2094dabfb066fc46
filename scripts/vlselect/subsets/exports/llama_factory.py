"""LLaMA-Factory: ShareGPT messages as JSON lines, and the ``dataset_info.json`` that names them.

``dataset_dir`` is the export's folder. LLaMA-Factory looks for images below ``media_dir``, by
default ``dataset_dir``, so paths are relative to the export.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from vlselect.core.store import write_json
from vlselect.pool.records import Record
from vlselect.subsets.exports.image_files import ImageFiles
from vlselect.subsets.exports.json_lines import write_messages

logger = logging.getLogger(__name__)

DATASET = "vlselect"  # name for `dataset:` in LLaMA-Factory's config
FILE = "train.jsonl"
OTHER_MEDIA = ("<video>", "<audio>")
INFO = {
    "file_name": FILE,
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


def write(records: Iterable[Record], images: ImageFiles, folder: Path) -> None:
    """Write ``train.jsonl`` and ``dataset_info.json``."""
    write_messages(_warn_of_other_media(records), images.relative, folder / FILE)
    write_json({DATASET: INFO}, folder / "dataset_info.json")


def _warn_of_other_media(records: Iterable[Record]) -> Iterator[Record]:
    """Pass records on; log how many texts LLaMA-Factory would take for a video or a sound."""
    odd = []
    for record in records:
        if any(marker in turn.text for turn in record.turns for marker in OTHER_MEDIA):
            odd.append(record.sample_id)
        yield record
    if odd:
        what = " or ".join(OTHER_MEDIA)
        logger.warning(
            "%d records have %s in their texts, the first is %r: LLaMA-Factory will stop there",
            *(len(odd), what, odd[0]),
        )
