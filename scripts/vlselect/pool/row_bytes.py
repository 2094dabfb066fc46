"""Read the bytes in single rows of Parquet and Arrow files, in place.

An Arrow file is mapped, so reading a row costs only its own bytes. A Parquet file is read by whole
row groups, and the latest groups are kept: row order reads each group once, but random order, as in
finetuning, reads a group for nearly every image. Datasets with images are therefore better saved
with `datasets`' save_to_disk, or with small row groups.
"""

import logging
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from vlselect.core.arrow_files import named, open_arrow, open_parquet
from vlselect.pool.embedded import contents
from vlselect.pool.table_stream import byte_columns

KEPT = 1 << 28  # bytes of row groups kept in memory
LARGE_GROUP = 1 << 26  # bytes of a row group above which random reads are slow

logger = logging.getLogger(__name__)


class RowBytes:
    """Bytes in the rows of Parquet or Arrow files, read as one table in the order of the files.

    Raises ValueError, naming the file, if one is not such a table.
    """

    def __init__(self, files: Sequence[str | Path]):
        pieces = []
        for path in map(Path, files):
            with named(path):
                pieces += _pieces(path)
        self._pieces = pieces
        self._starts = list(accumulate((piece.n_rows for piece in pieces), initial=0))
        self._kept: OrderedDict[int, pa.Table] = OrderedDict()
        self._lock = Lock()

    def read(self, row: int) -> list[bytes]:
        """Return a row's bytes in the order of `embedded.detach`; [] if the row does not exist."""
        if not 0 <= row < self._starts[-1]:
            return []
        number = bisect_right(self._starts, row) - 1
        with self._lock:
            table = self._table(number)
        values = table.slice(row - self._starts[number], 1).to_pylist()
        return list(contents(values))

    def _table(self, number: int) -> pa.Table:
        if number not in self._kept:
            self._kept[number] = self._pieces[number].load()
        self._kept.move_to_end(number)
        while len(self._kept) > 1 and sum(t.nbytes for t in self._kept.values()) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[number]


class _RowGroup:
    """One row group of a Parquet file."""

    def __init__(self, path: Path, file: pq.ParquetFile, group: int, columns: list[str]):
        self._path, self._file, self._group, self._columns = path, file, group, columns
        self.n_rows = file.metadata.row_group(group).num_rows

    def load(self) -> pa.Table:
        with named(self._path):
            return self._file.read_row_group(self._group, columns=self._columns)


class _Mapped:
    """A whole Arrow file, which is mapped: loading it reads nothing yet."""

    def __init__(self, table: pa.Table):
        self._table, self.n_rows = table, table.num_rows

    def load(self) -> pa.Table:
        return self._table


def _pieces(path: Path) -> list[_RowGroup] | list[_Mapped]:
    """Return the parts of a table that are loaded as a whole."""
    if path.suffix != ".parquet":
        table = open_arrow(path).read_all()
        return [_Mapped(table.select(byte_columns(table.schema)))]
    file = open_parquet(path)
    groups = range(file.metadata.num_row_groups)
    largest = max((file.metadata.row_group(i).total_byte_size for i in groups), default=0)
    if largest > LARGE_GROUP:
        logger.warning(
            "%s has row groups of up to %d MB: in random order, every image reads a whole group",
            *(path, largest >> 20),
        )
    return [_RowGroup(path, file, i, byte_columns(file.schema_arrow)) for i in groups]
