"""TRL: Parquet of ``messages`` with content parts and ``images``, for SFTTrainer.

The schema declares ``images`` as images, so `datasets.load_dataset` on the folder decodes them. It
resolves paths from its working directory, so they are absolute. Parts keep every character around
the images: the texts, joined with ``<image>`` between them, are the original turn.
"""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vlselect.core.store import write_text
from vlselect.pool.records import IMAGE_MARKER, Record
from vlselect.subsets.exports.image_files import ImageFiles

ROW_GROUP = 1024
_PART = pa.struct({"type": pa.string(), "text": pa.string()})
_MESSAGE = pa.struct({"role": pa.string(), "content": pa.list_(_PART)})
_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
_TEXT = {"dtype": "string", "_type": "Value"}
_FEATURES = {  # the same types for `datasets`
    "id": _TEXT,
    "messages": [{"role": _TEXT, "content": [{"type": _TEXT, "text": _TEXT}]}],
    "images": [{"_type": "Image"}],
}
SCHEMA = pa.schema(
    {"id": pa.string(), "messages": pa.list_(_MESSAGE), "images": pa.list_(_IMAGE)},
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)
# Without it `load_dataset` would take files like images/coco/train2017/1.jpg for the data.
CARD = """---
configs:
- config_name: default
  data_files: train.parquet
---
"""


def write(records: Iterable[Record], images: ImageFiles, folder: Path) -> None:
    """Write ``train.parquet``, and the ``README.md`` that points `load_dataset` to it."""
    records = iter(records)
    path = folder / "train.parquet"
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as file:
        while group := [_row(record, images) for record in islice(records, ROW_GROUP)]:
            file.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
    write_text(CARD, folder / "README.md")


def _row(record: Record, images: ImageFiles) -> dict:
    messages = [{"role": turn.role, "content": parts(turn.text)} for turn in record.turns]
    paths = [images.absolute(reference) for reference in record.images]
    return {
        "id": record.sample_id,
        "messages": messages,
        "images": [{"bytes": None, "path": path} for path in paths],
    }


def parts(text: str) -> list[dict]:
    """Return the content parts of a turn: an image for each ``<image>``, texts around them."""
    found: list[dict] = []
    for i, piece in enumerate(text.split(IMAGE_MARKER)):
        if i:
            found.append({"type": "image", "text": None})
        if piece:
            found.append({"type": "text", "text": piece})
    return found
