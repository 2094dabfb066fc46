"""Samples that a model refused, and how files by row say so.

A file that has a row for every sample of the pool keeps that row for refused samples too: it holds
no values (NaN), and the file names it. Shards do so in their header, tables in their pandas
attributes, both under `REFUSED` and only where there are any. So every stage finds in what it reads
which samples it has to leave out, and names them in what it writes.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.store import REFUSED, ShardedArray, read_parquet

logger = logging.getLogger(__name__)

POOL = "pool"  # in the column `part`; a task's samples have "<task>/<split>"
GATED = "gated"  # pandas attribute of a subset's table: how many samples the gate left out
ON_REFUSED = ("error", "reject")  # the config's: samples end the run, or are left out
SHOWN = 20


class RowsOf:
    """Some rows of a sharded array, with the interface of a `ShardedArray`; read on request.

    Parameters
    ----------
    array : ShardedArray (N, ...)
    rows : int array, shape (n,)
        Rows of the array, in their new order.
    """

    def __init__(self, array: ShardedArray, rows: np.ndarray):
        self._array, self._rows = array, np.asarray(rows, dtype=np.int64)
        self.dtype, self.shape = array.dtype, (len(rows), *array.shape[1:])
        self.paths, self.metadata = array.paths, array.metadata

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """Return rows, in the requested order."""
        if not isinstance(rows, slice):
            rows = np.asarray(rows, dtype=np.int64)
            if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
                raise IndexError(f"rows outside 0:{len(self)}")
        return self._array[self._rows[rows]]

    def blocks(self, rows: int = 8192) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first row of each block, and the block."""
        for start in range(0, len(self), rows):
            yield start, self[start : start + rows]

    def groups(self, members: Iterable[np.ndarray], **options) -> Iterator[np.ndarray]:
        """Read groups of rows scattered over the array, as `ShardedArray.groups`."""
        return self._array.groups((self._rows[group] for group in members), **options)

    def path_of(self, row: int) -> Path:
        """Return the path of the shard that holds a row."""
        return self._array.path_of(int(self._rows[row]))

    @property
    def refused(self) -> np.ndarray:
        """Rows without values, int64 ascending."""
        return np.flatnonzero(np.isin(self._rows, self._array.refused))

    def only(self, key: str) -> str:
        """Return the header value that all shards share."""
        return self._array.only(key)


def refused_in(files: Iterable[ShardedArray | pd.DataFrame]) -> np.ndarray:
    """Return the rows, int64 ascending, that any of these arrays and tables names as refused."""
    rows = [
        file.attrs.get(REFUSED, []) if isinstance(file, pd.DataFrame) else file.refused
        for file in files
    ]
    return np.unique(np.concatenate([[], *rows])).astype(np.int64)


def accepted(n: int, refused: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the other rows of n, int64 ascending."""
    return np.setdiff1d(np.arange(n), refused)


def naming(frame: pd.DataFrame, refused: np.ndarray) -> pd.DataFrame:
    """Return a table that names its refused rows, if there are any."""
    if len(refused):
        frame.attrs = frame.attrs | {REFUSED: refused.tolist()}
    return frame


def without_refused(array: ShardedArray) -> tuple[ShardedArray | RowsOf, np.ndarray]:
    """Return an array without its refused rows, and the rows that it keeps, int64 ascending."""
    kept = accepted(len(array), array.refused)
    return (RowsOf(array, kept) if len(kept) < len(array) else array), kept


def spread(values: np.ndarray, rows: np.ndarray, n: int, fill: float) -> np.ndarray:
    """Put values (m, …) at their rows of an array (n, …) that holds `fill` elsewhere."""
    out = np.full((n, *values.shape[1:]), fill, values.dtype)
    out[rows] = values
    return out


def describe(table: pd.DataFrame) -> str:
    """Describe refused samples (reason, message): the count of each reason, and the first ones."""
    counts = ", ".join(f"{n} {reason}" for reason, n in table["reason"].value_counts().items())
    shown = [f"\n  {' '.join(message.split())}" for message in table["message"][:SHOWN]]
    more = f"\n  and {len(table) - SHOWN} more" if len(table) > SHOWN else ""
    return f"{counts}{''.join(shown)}{more}"


def read_left_out(path: Path | None, part: str = POOL) -> np.ndarray:
    """Read the rows of a part that a model's passes leave out, int64 ascending.

    None without a path.
    """
    if path is None:
        return np.empty(0, np.int64)
    table = read_parquet(path)
    rows = np.sort(table.loc[table["part"] == part, "row"].to_numpy(np.int64))
    if len(rows):
        logger.warning("%d samples of %s are left out: the model refuses them", len(rows), part)
    return rows
