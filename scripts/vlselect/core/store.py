"""Files passed between stages: sharded safetensors arrays and Parquet tables, written atomically.

A shard holds one tensor, ``values``, and a header of strings (safetensors metadata). It is written
through a memory map and read in pieces, so it is never held in memory as a whole, and any
safetensors reader can open it. Shards are cut on multiples of `shard_files.BLOCK` rows, and batches
are formed within blocks, so no result depends on the number of shards.
"""

import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from vlselect.core.errors import InputError, naming_file, naming_full_disk
from vlselect.core.half import to_stored
from vlselect.core.shard_files import (
    CHECKSUMS,
    REFUSED,
    TENSOR,
    blank,
    checksums,
    encode_header,
    open_shard,
    reserve,
)

# Header keys that may differ between the shards of an array.
OWN = {"rows", "run", "code", REFUSED, CHECKSUMS}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
GATHERED = 1 << 30  # bytes of scattered rows that are read in one pass


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there if the block succeeds, else remove it.

    Readers never see half a file, and two writers never share a temporary name. For files only; the
    parent folder is created. A disk that takes no more is an InputError that names the path.

    What writers of `path` left that were killed is removed. One that is still at work, which a
    workflow never has, fails when it ends.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with naming_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(path)
            yield temporary
            if not temporary.exists():
                raise InputError(f"{path} was not written: another process began to write it too")
            if temporary.is_dir() and path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
    finally:
        _remove(temporary)


@contextmanager
def replacing_directory(path: str | Path) -> Iterator[Path]:
    """Yield a new directory beside `path` that takes its place, as a file by `replacing`.

    Readers never see half a folder. Whatever was at `path` before is removed.
    """
    with replacing(path) as temporary:
        temporary.mkdir()
        yield temporary


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of `path` left beside it."""
    name = re.compile(rf"\.+{re.escape(path.name)}(\.[0-9a-f]{{32}}\.(tmp|old))+")
    with os.scandir(path.parent) as entries:
        found = [Path(entry.path) for entry in entries if name.fullmatch(entry.name)]
    for left in found:
        _remove(left)


def _remove(path: Path) -> None:
    """Remove a file or folder, if that is possible: what failed before is what has to be said."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def write_text(text: str, path: str | Path) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: object, path: str | Path) -> None:
    """Write a value as indented JSON atomically; NaN and infinity are errors."""
    write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def write_parquet(frame, path: str | Path, *, checksums: bool = True) -> None:
    """Write a pandas DataFrame without its index as Parquet, atomically, each page with a checksum.

    A subset's table has none: its bytes are those of earlier versions.
    """
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False, write_page_checksum=checksums)


def read_parquet(path: str | Path, columns: Sequence[str] | None = None):
    """Read a table as a pandas DataFrame, all columns by default.

    Raises MissingFileError; InputError, naming the file, if it is broken or lacks a column, or
    a page is not what its checksum says.
    """
    import pandas as pd  # slow to import, and not needed for shards

    with naming_file(Path(path)):
        return pd.read_parquet(path, columns=columns, page_checksum_verification=True)


def as_cell(value: object) -> object:
    """Return a CSV file's value so that no spreadsheet takes a text for a formula.

    Records come from anyone, so their ids and sources may begin like one; then ' comes before.
    """
    formula = isinstance(value, str) and value.lstrip("'").startswith(_FORMULA)
    return f"'{value}" if formula else value


def from_cell(text: str) -> str:
    """Return the text that `as_cell` was given."""
    rest = text.removeprefix("'")
    return rest if as_cell(rest) == text else text


class ShardWriter:
    """Write one shard through a memory map; the file appears when the block ends.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int
        Shape of ``values``; the first axis is rows.
    dtype : numpy dtype
        Little-endian float16/32/64, int32/64 or uint8.
    metadata : mapping of str to str
        Header; ``rows`` ("start:stop" in the whole array) orders the shards.
    """

    def __init__(self, path, shape: Sequence[int], dtype, metadata: Mapping[str, str]):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._replacing = replacing(path)
        self._first = int(metadata.get("rows", "0:").partition(":")[0])
        self._kind = metadata.get("kind", TENSOR)
        self._metadata = dict(metadata)
        header = self._metadata | {CHECKSUMS: blank(self.shape[0])}
        self._header = encode_header(self.shape, self.dtype, header)
        self._written = np.zeros(self.shape[0], dtype=bool)
        self._refused: dict[str, list[int]] = {}

    def __enter__(self) -> "ShardWriter":
        with ExitStack() as stack:
            self._temporary = stack.enter_context(self._replacing)
            size = math.prod(self.shape) * self.dtype.itemsize
            with self._temporary.open("wb") as file:
                file.write(self._header)
                file.flush()
                reserve(file.fileno(), len(self._header) + size)
            self._values = (
                np.memmap(self._temporary, self.dtype, "r+", len(self._header), self.shape)
                if size
                else np.empty(self.shape, self.dtype)
            )
            self._stack = stack.pop_all()
        return self

    def write(
        self, rows: slice | np.ndarray, values: np.ndarray, sample_ids: Sequence[str] | None = None
    ) -> None:
        """Write values at rows counted from the start of the shard.

        Floats that the shard's dtype cannot hold are errors (`half.to_stored`), which name the
        sample or, without `sample_ids`, the row of the whole array.
        """
        values = np.asarray(values)
        if self.dtype.kind == "f":
            names = sample_ids or np.arange(self._first, self._first + self.shape[0])[rows].tolist()
            values = to_stored(values, self.dtype, self._kind, names)
        self._values[rows] = values
        self._written[rows] = True

    def refuse(self, rows: np.ndarray, reason: str) -> None:
        """Leave rows (counted from the shard's start) without values: NaN, named in the header."""
        self._values[rows], self._written[rows] = np.nan, True
        self._refused.setdefault(reason, []).extend((rows + self._first).tolist())

    def __exit__(self, kind, error, trace) -> bool | None:
        if kind is not None:
            del self._values
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            if not self._written.all():
                raise ValueError(f"shard row {int(np.argmin(self._written))} was never written")
            self._metadata[CHECKSUMS] = checksums(self._values)
            if isinstance(self._values, np.memmap):
                self._values.flush()
            del self._values
            self._write_header()
        return None

    def _write_header(self) -> None:
        """Write the header with the checksums and, if there are any, the refused rows."""
        if any(self._refused.values()):
            rows = {reason: sorted(rows) for reason, rows in self._refused.items()}
            self._metadata[REFUSED] = json.dumps(rows)
        header = encode_header(self.shape, self.dtype, self._metadata)
        if len(header) == len(self._header):
            with self._temporary.open("r+b") as file:
                file.write(header)
            return
        old = self._temporary.with_suffix(".old")
        self._temporary.rename(old)
        try:
            with old.open("rb") as source, self._temporary.open("wb") as file:
                file.write(header)
                source.seek(len(self._header))
                shutil.copyfileobj(source, file)
        finally:
            old.unlink()


class ShardedArray:
    """All shards of one array, given in any order; only requested rows are in memory.

    Rows are read, not mapped, so a process holds just the rows it asked for even if the array is
    larger than the machine's memory.

    Raises
    ------
    ValueError
        If the shards leave a gap, overlap, or differ in dtype, row shape or header (except for the
        keys in `OWN`).
    """

    def __init__(self, paths: Iterable[str | Path]):
        shards = sorted((open_shard(Path(path)) for path in paths), key=lambda s: (s.start, s.stop))
        if not shards:
            raise ValueError("no shards given")
        self._shards, first = shards, shards[0]
        self.paths = [shard.path for shard in shards]
        self.metadata = [shard.metadata for shard in shards]
        self._starts = np.cumsum([0, *(shard.shape[0] for shard in shards)])
        for shard, expected in zip(shards, self._starts, strict=False):
            rows = f"{shard.start}:{shard.stop}"
            if shard.start != expected or shard.stop - shard.start != shard.shape[0]:
                raise InputError(f"{shard.path} holds rows {rows}; rows from {expected} expected")
            if shard.dtype != first.dtype or shard.shape[1:] != first.shape[1:]:
                raise InputError(f"{shard.path} differs in dtype or width from {first.path}")
        for key in sorted(set().union(*self.metadata) - OWN):
            self.only(key)
        self.dtype = first.dtype
        self.shape = (int(self._starts[-1]), *first.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """Return a copy of the rows, in the order requested; the files are read in one pass."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"rows outside 0:{len(self)}")
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        owner = np.searchsorted(self._starts, rows[order], side="right") - 1
        for part in np.unique(owner):
            here = order[owner == part]
            self._shards[part].read(rows[here] - self._starts[part], here, out)
        return out

    @property
    def refused(self) -> np.ndarray:
        """Rows without values, int64 ascending: samples that the model refused."""
        rows = [row for shard in self._shards for row in shard.refused]
        return np.unique(np.array(rows, dtype=np.int64))

    def path_of(self, row: int) -> Path:
        """Return the path of the shard that holds a row."""
        return self.paths[int(np.searchsorted(self._starts, row, side="right")) - 1]

    def blocks(self, rows: int = 8192) -> Iterator[tuple[int, np.ndarray]]:
        """Yield first row and values of blocks cut on multiples of `rows`, whatever the shards.

        While a block is in use, the system reads the next one ahead.
        """
        for start in range(0, len(self), rows):
            block = self[start : start + rows]
            for shard, first in zip(self._shards, self._starts, strict=False):
                shard.expect(start + rows - first, start + 2 * rows - first)
            yield start, block

    def groups(self, members: Iterable[np.ndarray], memory: int = GATHERED) -> Iterator[np.ndarray]:
        """Yield the values of groups of rows that are scattered over the array, in the order given.

        As many groups as fit into `memory` bytes are read together, in one pass through the files
        (a larger group alone). An array larger than the machine's memory is thus read a few times
        in order, without a seek for every row.
        """
        room = memory // max(1, self.dtype.itemsize * int(np.prod(self.shape[1:])))
        waiting, n_waiting = [], 0
        for group in members:
            if waiting and n_waiting + len(group) > room:
                yield from self._together(waiting)
                waiting, n_waiting = [], 0
            waiting.append(group)
            n_waiting += len(group)
        yield from self._together(waiting)

    def _together(self, groups: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        if groups:
            values = self[np.concatenate(groups)]
            yield from np.split(values, np.cumsum([len(group) for group in groups])[:-1])

    def only(self, key: str) -> str:
        """Return the header value that all shards share; a different or missing one is an error."""
        values = {metadata.get(key) for metadata in self.metadata}
        if len(values) != 1 or None in values:
            raise InputError(f"shards of {self.paths[0].parent} do not share one {key!r}: {values}")
        return values.pop()
