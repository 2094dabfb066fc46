"""Files passed between stages: sharded safetensors arrays and Parquet tables, written atomically.

A shard holds one tensor, ``values``, and a header of strings (safetensors metadata). It is written
through a memory map and read in pieces, so it is never held in memory as a whole, and any
safetensors reader can open it. Shards are cut on multiples of `BLOCK` rows, and batches are formed
within blocks, so no result depends on the number of shards.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlselect.core.errors import InputError
from vlselect.core.half import to_stored

BLOCK = 64
TENSOR = "values"
REFUSED = "refused"  # header key: rows of the whole array without values by reason, as JSON
OWN = {"rows", "run", "code", REFUSED}  # header keys that may differ between an array's shards
GATHERED = 1 << 30  # bytes of scattered rows that are read in one pass
PAGE = 4096  # bytes; reading one page brings several rows if they are narrower
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there if the block succeeds, else remove it.

    Readers never see half a file, and two writers never share a temporary name. For files only; the
    parent folder is created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: object, path: str | Path) -> None:
    """Write a value as indented JSON atomically; NaN and infinity are errors."""
    write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def write_parquet(frame, path: str | Path) -> None:
    """Write a pandas DataFrame without its index as Parquet, atomically."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)


def shard_rows(n_rows: int, shard: str, block: int = BLOCK) -> range:
    """Return the rows of a shard: contiguous, cut on multiples of `block`, as even as possible.

    `shard` is ``"<i>-of-<n>"``, counted from 1. The range is empty for some shards if there are
    more shards than blocks.
    """
    number, _, count = shard.partition("-of-")
    i, n = int(number), int(count)
    if not 1 <= i <= n:
        raise InputError(f"shard {shard!r} is not one of 1-of-{n} to {n}-of-{n}")
    blocks = -(-n_rows // block)
    return range(min(n_rows, (i - 1) * blocks // n * block), min(n_rows, i * blocks // n * block))


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
        self._header = _encode_header(self.shape, self.dtype, metadata)
        self._written = np.zeros(self.shape[0], dtype=bool)
        self._refused: dict[str, list[int]] = {}

    def __enter__(self) -> "ShardWriter":
        self._temporary = self._replacing.__enter__()
        size = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        with self._temporary.open("wb") as file:
            file.write(self._header)
            file.truncate(len(self._header) + size)
        self._values = (
            np.memmap(self._temporary, self.dtype, "r+", len(self._header), self.shape)
            if size
            else np.empty(self.shape, self.dtype)
        )
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
        if kind is None and not self._written.all():
            missing = int(np.argmin(self._written))
            kind, error = ValueError, ValueError(f"shard row {missing} was never written")
            self._replacing.__exit__(kind, error, None)
            raise error
        if isinstance(self._values, np.memmap):
            self._values.flush()
        del self._values
        if kind is None and any(self._refused.values()):
            self._name_refused()
        return self._replacing.__exit__(kind, error, trace)

    def _name_refused(self) -> None:
        """Write the shard once more, with a header that names the refused rows."""
        rows = {reason: sorted(rows) for reason, rows in self._refused.items()}
        metadata = self._metadata | {REFUSED: json.dumps(rows)}
        header = _encode_header(self.shape, self.dtype, metadata)
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
        shards = sorted(
            (_open_shard(Path(path)) for path in paths), key=lambda s: (s.start, s.stop)
        )
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
        named = [json.loads(header.get(REFUSED, "{}")) for header in self.metadata]
        rows = [row for reasons in named for own in reasons.values() for row in own]
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


def _encode_header(shape: tuple[int, ...], dtype: np.dtype, metadata: Mapping[str, str]) -> bytes:
    if dtype not in _CODES:
        raise ValueError(f"dtype {dtype} cannot be stored; use one of {sorted(map(str, _CODES))}")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    tensor = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [0, size]}
    header = {"__metadata__": dict(metadata), TENSOR: tensor}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * ((56 - len(text)) % 64)  # the data start at a multiple of 64 bytes
    return len(text).to_bytes(8, "little") + text


@dataclass(frozen=True)
class _Shard:
    """One file: rows `start` to `stop` of the whole array, and the offset of its values."""

    start: int
    stop: int
    path: Path
    metadata: dict[str, str]
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

    def read(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Read rows, ascending and counted from the start of the shard, into `places` of `out`."""
        flat = out.reshape(-1).view(np.uint8)  # (bytes,)
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(places) != 1)) + 1
        first, last = np.r_[0, breaks], np.r_[breaks, len(rows)]  # of each contiguous run
        width = self.row_bytes
        begins, lengths = self.offset + rows[first] * width, (last - first) * width
        runs = list(zip(begins.tolist(), places[first] * width, lengths.tolist(), strict=True))
        with self.path.open("rb", buffering=0) as file:
            if width >= PAGE and len(runs) > 1:
                for begin, _, length in runs:  # requested at once, to keep the disk busy
                    _read_ahead(file.fileno(), begin, length)
            for begin, place, length in runs:
                file.seek(begin)
                done = 0
                while done < length:
                    got = file.readinto(flat[place + done : place + length])
                    if not got:
                        raise InputError(f"{self.path} has been cut short")
                    done += got

    def expect(self, first: int, last: int) -> None:
        """Advise the system that the existing rows from `first` to `last` will be read soon."""
        first, last = max(0, int(first)), min(self.shape[0], int(last))
        if first < last:
            with self.path.open("rb", buffering=0) as file:
                begin = self.offset + first * self.row_bytes
                _read_ahead(file.fileno(), begin, (last - first) * self.row_bytes)


def _read_ahead(descriptor: int, begin: int, length: int) -> None:
    if hasattr(os, "posix_fadvise"):  # not on macOS; affects speed only
        os.posix_fadvise(descriptor, begin, length, os.POSIX_FADV_WILLNEED)


def _open_shard(path: Path) -> _Shard:
    """Read the header of one shard."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise InputError(f"{path} is not a safetensors file")
        header = json.loads(file.read(length))
    metadata, tensor = header.get("__metadata__", {}), header.get(TENSOR)
    if tensor is None or tensor["dtype"] not in _DTYPES:
        raise InputError(f"{path} holds no tensor {TENSOR!r} of a known dtype")
    shape, dtype = tuple(tensor["shape"]), np.dtype(_DTYPES[tensor["dtype"]])
    if path.stat().st_size != 8 + length + tensor["data_offsets"][1]:
        raise InputError(f"{path} is cut short or has bytes left over")
    start, _, stop = metadata.get("rows", f"0:{shape[0]}").partition(":")
    offset = 8 + length + tensor["data_offsets"][0]
    return _Shard(int(start), int(stop), path, metadata, dtype, shape, offset)
