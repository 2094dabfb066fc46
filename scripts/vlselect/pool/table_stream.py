"""Read rows of Parquet files and of datasets saved to disk, one by one as JSON texts.

Bytes of images are replaced by references (`embedded`). Arrow files are mapped and Parquet files
read in pieces, so memory does not grow with the number of rows.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pyarrow as pa

from vlselect.core.arrow_files import named, open_arrow, open_parquet
from vlselect.pool.embedded import detach

PIECE = 32  # rows: with images in them, or with one long text that a dictionary holds once


def read_rows(files: Sequence[str | Path], *, embedded: bool = True) -> Iterator[tuple[int, str]]:
    """Yield number, counted from 0 over all files, and JSON object of each row of some tables.

    The tables are Parquet or Arrow files, whose columns may differ. If not `embedded`, bytes are
    dropped and the paths beside them are used. Types that JSON lacks (dates, decimals) become
    texts. Raises ValueError, naming the file, if one is broken or not such a table.
    """
    row = 0
    for path in files:
        with named(Path(path)):
            for batch in _batches(Path(path)):
                for values in batch.to_pylist():
                    values = detach(values, row if embedded else None, count())
                    yield row, json.dumps(values, ensure_ascii=False, default=str)
                    row += 1


def byte_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that hold bytes, also nested ones."""
    return [field.name for field in schema if _holds_bytes(field.type)]


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table in pieces."""
    if path.suffix == ".parquet":
        with open_parquet(path) as file:
            yield from file.iter_batches(batch_size=PIECE)
        return
    reader = open_arrow(path)
    stream = isinstance(reader, pa.RecordBatchReader)
    batches = reader if stream else map(reader.get_batch, range(reader.num_record_batches))
    for batch in batches:
        for start in range(0, batch.num_rows, PIECE):
            yield batch.slice(start, PIECE)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return True
    return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))
