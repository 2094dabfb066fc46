"""The bytes in single rows of Parquet and Arrow files, read where they are.

An Arrow file is mapped, so a row costs its own bytes. Of a Parquet file a whole row group is read
for one row; the groups read last are kept. Read in the order of rows each group is read once; in
random order, as finetuning reads, nearly every image costs a row group: datasets with images
should then be saved with `datasets`' save_to_disk, or with small row groups.
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

from vlselect.core.errors import InputError
from vlselect.pool.embedded import contents
from vlselect.pool.table_stream import byte_columns, open_arrow

KEPT = 1 << 28  # bytes of row groups that are kept
LARGE_GROUP = 1 << 26  # bytes of a row group from which random reads are slow

logger = logging.getLogger(__name__)


class RowBytes:
    """Read the bytes in a row of several tables that count as one.

    Parameters
    ----------
    files : sequence of str or Path
        Parquet or Arrow files, in the order in which their rows count.

    Raises
    ------
    ValueError
        If a file is no such table; names it.
    """

    def __init__(self, files: Sequence[str | Path]):
        pieces = []
        for path in map(Path, files):
            try:
                pieces += _pieces(path)
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{path}: {error}") from error
        self._pieces = pieces
        self._starts = list(accumulate((piece.n_rows for piece in pieces), initial=0))
        self._kept: OrderedDict[int, pa.Table] = OrderedDict()
        self._lock = Lock()

    def read(self, row: int) -> list[bytes]:
        """All bytes of a row, in the order in which `embedded.detach` numbers them.

        None, where there is no such row.
        """
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

    def __init__(self, file: pq.ParquetFile, group: int, columns: list[str]):
        self._file, self._group, self._columns = file, group, columns
        self.n_rows = file.metadata.row_group(group).num_rows

    def load(self) -> pa.Table:
        return self._file.read_row_group(self._group, columns=self._columns)


class _Mapped:
    """A whole Arrow file; loading it reads nothing yet."""

    def __init__(self, table: pa.Table):
        self._table, self.n_rows = table, table.num_rows

    def load(self) -> pa.Table:
        return self._table


def _pieces(path: Path) -> list[_RowGroup] | list[_Mapped]:
    """The parts of a table that are loaded at once."""
    if path.suffix != ".parquet":
        table = open_arrow(path).read_all()
        return [_Mapped(table.select(byte_columns(table.schema)))]
    file = pq.ParquetFile(path)
    groups = range(file.metadata.num_row_groups)
    largest = max((file.metadata.row_group(i).total_byte_size for i in groups), default=0)
    if largest > LARGE_GROUP:
        logger.warning(
            "%s has row groups of up to %d MB: read in random order, each image costs one",
            *(path, largest >> 20),
        )
    return [_RowGroup(file, i, byte_columns(file.schema_arrow)) for i in groups]
