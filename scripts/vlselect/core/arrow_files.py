"""Tables as they lie in files, Parquet or Arrow, without reading what is in them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet file by its footer, of an Arrow file by its mapped batches."""
    if path.suffix == ".parquet":
        return pq.ParquetFile(path).metadata.num_rows
    return open_arrow(path).read_all().num_rows


def open_arrow(path: Path) -> pa.RecordBatchReader | pa.RecordBatchFileReader:
    """Map an Arrow file: a stream, as `datasets` writes it, or a file with a footer."""
    mapped = pa.memory_map(str(path))
    with path.open("rb") as file:
        has_footer = file.read(6) == b"ARROW1"
    return pa.ipc.open_file(mapped) if has_footer else pa.ipc.open_stream(mapped)
