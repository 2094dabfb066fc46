"""Files between the stages: sharded arrays in safetensors, tables in Parquet, all written whole.

A shard holds one tensor, ``values``, and a header of strings (safetensors metadata). It is written
through a memory map and read through one, so neither side ever holds it in memory, and it opens in
any safetensors reader. Shards are cut on multiples of `BLOCK` rows; whoever forms batches forms
them inside blocks, so that no result depends on the number of shards.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

BLOCK = 64
TENSOR = "values"
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there if the block succeeds, else remove it.

    A reader never sees half a file, and two writers never share a temporary name. Works for
    files only; the parent folder is made.
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
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: object, path: str | Path) -> None:
    """Write a value as indented JSON, whole or not at all; NaN and infinity are errors."""
    write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def write_parquet(frame, path: str | Path) -> None:
    """Write a pandas DataFrame (without its index) as Parquet, whole or not at all."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)


def shard_rows(n_rows: int, shard: str, block: int = BLOCK) -> range:
    """Rows of one shard: contiguous, cut on multiples of `block`, as even as that allows.

    Parameters
    ----------
    n_rows : int
        Rows of the whole array.
    shard : str
        ``"<i>-of-<n>"``, counted from 1.

    Returns
    -------
    range
        Possibly empty, where there are more shards than blocks.
    """
    number, _, count = shard.partition("-of-")
    i, n = int(number), int(count)
    if not 1 <= i <= n:
        raise ValueError(f"shard {shard!r} is not one of 1-of-{n} to {n}-of-{n}")
    blocks = -(-n_rows // block)
    return range(min(n_rows, (i - 1) * blocks // n * block), min(n_rows, i * blocks // n * block))


class ShardWriter:
    """Write one shard row by row through a memory map; the file appears when the block ends.

    Parameters
    ----------
    path : str or Path
        The safetensors file to make.
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
        self._header = _encode_header(self.shape, self.dtype, metadata)
        self._written = np.zeros(self.shape[0], dtype=bool)

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

    def write(self, rows: slice | np.ndarray, values: np.ndarray) -> None:
        """Put values at rows counted from the shard's own start; NaN and infinity are errors."""
        values = np.asarray(values)
        with np.errstate(over="ignore"):  # an overflow becomes infinity, which is looked for below
            cast = values.astype(self.dtype)
        if self.dtype.kind == "f" and not np.isfinite(cast).all():
            axes = tuple(range(1, cast.ndim))
            bad = np.arange(self.shape[0])[rows][~np.isfinite(cast).all(axis=axes)]
            raise ValueError(f"values of shard row {bad[0]} are not finite as {self.dtype}")
        self._values[rows] = cast
        self._written[rows] = True

    def __exit__(self, kind, error, trace) -> bool | None:
        if kind is None and not self._written.all():
            missing = int(np.argmin(self._written))
            kind, error = ValueError, ValueError(f"shard row {missing} was never written")
            self._replacing.__exit__(kind, error, None)
            raise error
        if isinstance(self._values, np.memmap):
            self._values.flush()
        del self._values
        return self._replacing.__exit__(kind, error, trace)


class ShardedArray:
    """Read shards as one array, memory-mapped: nothing is copied until rows are asked for.

    Parameters
    ----------
    paths : sequence of str or Path
        Every shard of one array, in any order.

    Raises
    ------
    ValueError
        If the shards leave a gap, overlap, or differ in dtype or row shape.
    """

    def __init__(self, paths: Iterable[str | Path]):
        shards = sorted((_open_shard(Path(path)) for path in paths), key=lambda s: s[0])
        if not shards:
            raise ValueError("no shards given")
        self.paths = [path for _, path, _, _ in shards]
        self.metadata = [metadata for _, _, metadata, _ in shards]
        self._parts = [values for *_, values in shards]
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])
        for ((start, stop), path, _, part), expected in zip(shards, self._starts, strict=False):
            if start != expected or stop - start != len(part):
                raise ValueError(f"{path} holds rows {start}:{stop}; rows from {expected} expected")
            if part.dtype != self._parts[0].dtype or part.shape[1:] != self._parts[0].shape[1:]:
                raise ValueError(f"{path} differs in dtype or width from {self.paths[0]}")
        self.dtype = self._parts[0].dtype
        self.shape = (int(self._starts[-1]), *self._parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """Copy out rows, in the order asked for."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"rows outside 0:{len(self)}")
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for part in np.unique(owner):
            here = owner == part
            out[here] = self._parts[part][rows[here] - self._starts[part]]
        return out

    def blocks(self, rows: int = 8192) -> Iterator[tuple[int, np.ndarray]]:
        """Go through the array in blocks cut on multiples of `rows`, whatever the shards.

        Yields
        ------
        (int, ndarray)
            First row, and the block: a view where one shard holds it all, else a copy.
        """
        for start in range(0, len(self), rows):
            stop = min(start + rows, len(self))
            part = int(np.searchsorted(self._starts, start, side="right")) - 1
            if stop <= self._starts[part + 1]:
                offset = start - self._starts[part]
                yield start, self._parts[part][offset : offset + stop - start]
            else:
                yield start, self[start:stop]

    def only(self, key: str) -> str:
        """Give the header value that all shards share; differing or missing ones are errors."""
        values = {metadata.get(key) for metadata in self.metadata}
        if len(values) != 1 or None in values:
            raise ValueError(f"shards of {self.paths[0].parent} do not share one {key!r}: {values}")
        return values.pop()


def _encode_header(shape: tuple[int, ...], dtype: np.dtype, metadata: Mapping[str, str]) -> bytes:
    if dtype not in _CODES:
        raise ValueError(f"dtype {dtype} cannot be stored; use one of {sorted(map(str, _CODES))}")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    tensor = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [0, size]}
    header = {"__metadata__": dict(metadata), TENSOR: tensor}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * ((56 - len(text)) % 64)  # data begin at a multiple of 64 bytes
    return len(text).to_bytes(8, "little") + text


def _open_shard(path: Path) -> tuple[tuple[int, int], Path, dict[str, str], np.ndarray]:
    """Read one header; give ((start, stop), path, metadata, memory-mapped values)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError(f"{path} is not a safetensors file")
        header = json.loads(file.read(length))
    metadata, tensor = header.get("__metadata__", {}), header.get(TENSOR)
    if tensor is None or tensor["dtype"] not in _DTYPES:
        raise ValueError(f"{path} holds no tensor {TENSOR!r} of a known dtype")
    shape, dtype = tuple(tensor["shape"]), np.dtype(_DTYPES[tensor["dtype"]])
    if path.stat().st_size != 8 + length + tensor["data_offsets"][1]:
        raise ValueError(f"{path} is cut short or has bytes left over")
    start, _, stop = metadata.get("rows", f"0:{shape[0]}").partition(":")
    offset = 8 + length + tensor["data_offsets"][0]
    empty = 0 in shape
    values = np.empty(shape, dtype) if empty else np.memmap(path, dtype, "r", offset, shape)
    return (int(start), int(stop)), path, metadata, values
