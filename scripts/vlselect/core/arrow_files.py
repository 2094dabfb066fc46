"""Tables as they lie in files, Parquet or Arrow, without reading what is in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vlselect.core.compressed import not_fetched, require_plain_file
from vlselect.core.errors import InputError, one_line


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Convert errors of Arrow in the block to an InputError that names the file and its fault.

    Also those of values that Python cannot hold: texts that are not UTF-8, dates beyond its range.
    """
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        what = None
        if path.is_file():
            with path.open("rb") as file:
                what = not_fetched(file.read(64))
        raise InputError(f"{path} is {what}" if what else f"{path}: {one_line(error)}") from error


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet file by its footer, of an Arrow file by its mapped batches."""
    if path.suffix == ".parquet":
        with open_parquet(path) as file:
            return file.metadata.num_rows
    return open_arrow(path).read_all().num_rows


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file, of which only the footer is read."""
    require_plain_file(path)
    return pq.ParquetFile(path)


def open_arrow(path: Path) -> pa.RecordBatchReader | pa.RecordBatchFileReader:
    """Map an Arrow file: a stream, as `datasets` writes it, or a file with a footer."""
    require_plain_file(path)
    mapped = pa.memory_map(str(path))
    with path.open("rb") as file:
        has_footer = file.read(6) == b"ARROW1"
    return pa.ipc.open_file(mapped) if has_footer else pa.ipc.open_stream(mapped)
