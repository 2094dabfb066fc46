"""One shard: a safetensors file with one tensor, whose header has checksums of its blocks.

A bit that a disk or a network flips would otherwise be averaged over, unseen. Every block of
`BLOCK` rows that is read as a whole is compared with its checksum, which passes over an array do
for all of it, in whatever order; a block of which some rows are read is not.
"""

import json
import math
import operator
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vlselect.core.errors import LIBRARY_ERRORS, InputError, MissingFileError, one_line

BLOCK = 64
TENSOR = "values"
REFUSED = "refused"  # header key: rows of the whole array without values by reason, as JSON
CHECKSUMS = "crc32"  # header key: 8 hexadecimal digits for each block of the shard
LONGEST_HEADER = 100_000_000  # bytes, as in the library safetensors
PAGE = 4096  # bytes; reading one page brings several rows if they are narrower
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_CURE = "delete it, and it is made again"
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}


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


def reserve(descriptor: int, size: int) -> None:
    """Set a file's size, with its room on the disk: a map into a full disk ends the process."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def checksums(values: np.ndarray) -> str:
    """Return the checksum of each block of rows, for the header."""
    blocks = (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))
    return "".join(map(_checksum, blocks))


def blank(n_rows: int) -> str:
    """Return as many digits as the checksums of so many rows have."""
    return "0" * (8 * -(-n_rows // BLOCK))


def _checksum(block: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(block).reshape(-1).view(np.uint8)):08x}"


def encode_header(shape: tuple[int, ...], dtype: np.dtype, metadata: Mapping[str, str]) -> bytes:
    if dtype not in _CODES:
        raise ValueError(f"dtype {dtype} cannot be stored; use one of {sorted(map(str, _CODES))}")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    tensor = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [0, size]}
    header = {"__metadata__": dict(metadata), TENSOR: tensor}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * ((56 - len(text)) % 64)  # the data start at a multiple of 64 bytes
    return len(text).to_bytes(8, "little") + text


@dataclass(frozen=True)
class Shard:
    """One file: rows `start` to `stop` of the whole array, and the offset of its values."""

    start: int
    stop: int
    path: Path
    metadata: dict[str, str]
    refused: tuple[int, ...]
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
        with _opened(self.path) as file:
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
        if CHECKSUMS in self.metadata and len(rows) >= (self.shape[0] % BLOCK or BLOCK):
            self._compare(rows, places, out)

    def _compare(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Compare the blocks of which all rows were read, wherever to, with their checksums."""
        rows, first = np.unique(rows, return_index=True)
        places = places[first]
        blocks, begins, counts = np.unique(rows // BLOCK, return_index=True, return_counts=True)
        whole = counts == np.minimum(BLOCK, self.shape[0] - blocks * BLOCK)
        parted = np.r_[0, np.cumsum(np.diff(places) != 1)]  # places that are not the next one
        for block, begin, count in zip(blocks[whole], begins[whole], counts[whole], strict=True):
            place = places[begin : begin + count]
            together = parted[begin] == parted[begin + count - 1]
            values = out[place[0] : place[0] + count] if together else out[place]
            if _checksum(values) != self.metadata[CHECKSUMS][8 * block : 8 * (block + 1)]:
                start = self.start + block * BLOCK
                where = f"its rows {start} to {start + count - 1}"
                raise InputError(f"{self.path} is broken: {where} have changed: {_CURE}")

    def expect(self, first: int, last: int) -> None:
        """Advise the system that the existing rows from `first` to `last` will be read soon."""
        first, last = max(0, int(first)), min(self.shape[0], int(last))
        if first < last:
            with _opened(self.path) as file:
                begin = self.offset + first * self.row_bytes
                _read_ahead(file.fileno(), begin, (last - first) * self.row_bytes)


def _read_ahead(descriptor: int, begin: int, length: int) -> None:
    if hasattr(os, "posix_fadvise"):  # not on macOS; affects speed only
        os.posix_fadvise(descriptor, begin, length, os.POSIX_FADV_WILLNEED)


def open_shard(path: Path) -> Shard:
    """Read the header of one shard.

    Raises MissingFileError, or InputError if the file is not of this kind, cut short or changed.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= size - 8:
            raise InputError(f"{path} is cut short, or no safetensors file: {_CURE}")
        if length > LONGEST_HEADER:
            raise InputError(f"{path} has a header of {length} bytes, over {LONGEST_HEADER}")
        text = file.read(length)
    try:
        return _shard(path, json.loads(text), 8 + length, size)
    except InputError:
        raise
    except (*LIBRARY_ERRORS, MemoryError) as error:
        raise InputError(f"{path} has a broken header ({one_line(error)}): {_CURE}") from error


def _shard(path: Path, header: dict, offset: int, size: int) -> Shard:
    """Return what a header says, if it agrees with itself and with the file's size."""
    metadata, tensor = header.get("__metadata__", {}), header.get(TENSOR)
    if tensor is None or tensor["dtype"] not in _DTYPES:
        raise InputError(f"{path} holds no tensor {TENSOR!r} of a known dtype")
    shape, dtype = tuple(map(operator.index, tensor["shape"])), np.dtype(_DTYPES[tensor["dtype"]])
    begin, end = tensor["data_offsets"]
    if size != offset + end:
        raise InputError(f"{path} is cut short or has bytes left over: {_CURE}")
    if not shape or min(shape) < 0 or end - begin != math.prod(shape) * dtype.itemsize or begin < 0:
        raise ValueError(f"{tensor} does not describe its data")
    refused = [row for rows in json.loads(metadata.get(REFUSED, "{}")).values() for row in rows]
    start, _, stop = metadata.get("rows", f"0:{shape[0]}").partition(":")
    known = metadata.get(CHECKSUMS)
    if known is not None and len(known) != len(blank(shape[0])):
        raise ValueError(f"{CHECKSUMS} has {len(known)} digits")
    refused = tuple(map(operator.index, refused))
    rows = (int(start), int(stop))
    return Shard(*rows, path, metadata, refused, dtype, shape, offset + begin)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a shard, unbuffered; MissingFileError names one that is gone."""
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} is not there") from error
    with file:
        yield file
