"""Open a text file that may be compressed with gzip or Zstandard, and refuse what is no text.

What a file is follows from its first bytes, not from its name. It is decompressed as it is read, so
memory does not grow with it, however well it was compressed.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vlselect.core.errors import InputError

_HEAD = 512  # bytes
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UTF16 = "UTF-16 or UTF-32 text; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"
_FORMATS = {
    b"\xff\xfe": _UTF16,
    b"\xfe\xff": _UTF16,
    b"PK\x03\x04": "a zip archive; unpack it and name the file in it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it and name the file in it",
    b"BZh": "compressed with bzip2; unpack it, or use gzip or zstd",
    b"\xfd7zXZ\x00": "compressed with xz; unpack it, or use gzip or zstd",
    b"PAR1": "a Parquet file; its name has to end in .parquet",
    b"ARROW1": "an Arrow file; its name has to end in .arrow",
    b"version https://git-lfs": "a pointer of Git LFS, not the file; fetch it: git lfs pull",
    b"<": "a web page or XML, not the file itself; download it again",
}


def require_plain_file(path: str | Path) -> None:
    """Raise InputError if a path is there and is a folder, or a pipe or device without an end."""
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path} is no plain file")


@contextmanager
def open_text(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading its text as bytes, from beginning to end (it cannot seek).

    Raises InputError, naming the file, if it is in a format that holds no plain text, and while it
    is read if the compressed data are broken or cut off.
    """
    require_plain_file(path)
    with Path(path).open("rb") as file:
        start = file.peek(_HEAD)
        packed = "gzip" if start.startswith(_GZIP) else "zstd" if start.startswith(_ZSTD) else None
        if packed is None:
            _refuse_others(path, start)
            yield file
            return
        try:
            stream = io.BufferedReader(_decompressed(file, packed))
            _refuse_others(path, stream.peek(_HEAD))
            yield stream
        except (EOFError, zlib.error, OSError) as error:
            raise InputError(f"{path}: its {packed} data are broken or cut off: {error}") from error


def _decompressed(file: BinaryIO, packed: str) -> io.RawIOBase:
    if packed == "gzip":
        return gzip.GzipFile(fileobj=file)
    import pyarrow as pa  # a dry run needs none

    return pa.CompressedInputStream(file, "zstd")


def known_format(start: bytes) -> str | None:
    """Return what a file is by its first bytes, and what to do; None if it may be text."""
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it and name the file in it"
    return next((what for mark, what in _FORMATS.items() if start.startswith(mark)), None)


def not_fetched(start: bytes) -> str | None:
    """Return what a file is that a download left in place of images or tables, and what to do."""
    start = start.lstrip()
    marks = (b"version https://git-lfs", b"<!DOCTYPE html", b"<!doctype html", b"<html")
    return known_format(start) if start.startswith(marks) else None


def _refuse_others(path: str | Path, start: bytes) -> None:
    """Raise an error if the first bytes are not those of UTF-8 text; it names the format."""
    found = known_format(start) or not_fetched(start) or (_UTF16 if b"\0" in start[:2] else None)
    if found:
        raise InputError(f"{path} is {found}")
