"""Find the members of a tar file by reading its headers and seeking over the data.

The standard library's tarfile takes three times as long, and takes a broken header for the end of
the archive. This module reads the same formats (ustar, GNU and pax), except for sparse files, and
does not follow links.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vlselect.core.compressed import not_fetched, require_plain_file
from vlselect.core.errors import InputError

BLOCK = 512
FILES = b"0\x007"  # types of a plain file: new, old, contiguous
LINKS = b"12"
_LONG = b"LKxg"  # headers for the next member: name, link (GNU), its keys, global keys (pax)
_LONG_NAME, _PAX, _SPARSE = b"LxS"
_WITHOUT_DATA = LINKS + b"3456"  # devices, folders, pipes
_LONGEST_HEADER = 1 << 20  # bytes of a name or of pax keys
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
_OCTAL, _DECIMAL = re.compile(rb"[0-7]+"), re.compile(rb"[0-9]{1,20}")
_ENTRY = re.compile(rb"([0-9]{1,20}) ")  # of a pax header: its length, with these digits

Place = tuple[int, int]  # first byte and size; size -1 for a link


class TarError(InputError):
    """A file cannot be read in place as a tar; names the file and the byte."""


def read_index(path: str | Path) -> dict[str, Place]:
    """Find the plain files and links in an uncompressed tar, by their names in the tar.

    Of several members with one name, the last one counts, as when unpacking.

    Returns
    -------
    dict of str to (int, int)
        Offset of the first byte, and size in bytes; the size of a link is -1.

    Raises
    ------
    InputError
        If the file is compressed, broken, not a tar (`TarError`) or no plain file.
    """
    require_plain_file(path)
    found: dict[str, Place] = {}
    with Path(path).open("rb", buffering=0) as file:
        for kind, name, start, size in _members(file, path):
            if kind in FILES:
                found[name] = (start, size)
            elif kind in LINKS:
                found[name] = (start, -1)
    return found


def _members(file: BinaryIO, path: str | Path) -> Iterator[tuple[int, str, int, int]]:
    """Yield type, name, first byte and size of each member, with its long headers applied."""
    end = os.fstat(file.fileno()).st_size
    position, long = 0, {}
    while position < end:
        file.seek(position)
        header = _header(file, path, position)
        if header is None:
            return
        kind, size, name = header
        start = position + BLOCK
        if size < 0 and kind not in _WITHOUT_DATA:
            raise TarError(f"{path}, byte {position}: a member of no readable size")
        if kind in _LONG:
            if size > _LONGEST_HEADER:
                raise TarError(f"{path}, byte {position}: a header of {size} bytes is too long")
            content = file.read(size)
            if kind == _LONG_NAME:
                long["path"] = content.rstrip(b"\0")
            elif kind == _PAX:
                long |= _pax(content, path, start)
        else:
            size = 0 if kind in _WITHOUT_DATA else long.get("size", size)
            if kind == _SPARSE or "sparse" in long:
                raise TarError(f"{path}, byte {position}: a sparse file; pack without --sparse")
            yield kind, long.get("path", name).decode("utf-8", "surrogateescape"), start, size
            long = {}
        position = start + -(-size // BLOCK) * BLOCK


def _header(file: BinaryIO, path: str | Path, position: int) -> tuple[int, int, bytes] | None:
    """Read one header: type, size, name; None at the end of the archive."""
    block = file.read(BLOCK)
    if not block.strip(b"\0") and position:
        return None
    if len(block) < BLOCK or not _is_header(block):
        if not position and block.startswith(_COMPRESSED):
            raise TarError(f"{path} is compressed; images are read in place from a plain tar only")
        if not position and (what := not_fetched(block)):
            raise TarError(f"{path} is {what}")
        raise TarError(f"{path}, byte {position}: not the header of a tar member")
    name, prefix = block[:100].split(b"\0")[0], b""
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0")[0]
    kind = block[156] if block[156] != 0 or not name.endswith(b"/") else ord("5")
    return kind, _number(block[124:136]), prefix + b"/" + name if prefix else name


def _is_header(block: bytes) -> bool:
    """Return whether the checksum, which counts its own field as spaces, is right."""
    rest = block[:148] + block[156:]
    excess = sum(rest) + 8 * 32 - _number(block[148:156])
    # Old programs summed bytes as signed.
    return excess == 0 or excess == 256 * sum(byte > 127 for byte in rest)


def _number(field: bytes) -> int:
    """Read an octal field, or a binary one as GNU writes large sizes; -1 for anything else."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    return int(digits, 8) if _OCTAL.fullmatch(digits) else -1


def _pax(content: bytes, path: str | Path, position: int) -> dict:
    """Read the relevant keys of a pax header: path, size, and whether the file is sparse."""
    found: dict = {}
    start = 0
    while start < len(content):
        entry = _ENTRY.match(content, start)
        end = start + int(entry[1]) if entry else 0
        if not entry or not entry.end() <= end <= len(content):
            raise TarError(f"{path}, byte {position}: a broken pax header")
        key, _, value = content[entry.end() : end - 1].partition(b"=")
        if key.startswith(b"GNU.sparse"):
            found["sparse"] = True
        elif key == b"size":
            if not _DECIMAL.fullmatch(value):
                raise TarError(f"{path}, byte {position}: a broken size in a pax header")
            found["size"] = int(value)
        elif key == b"path":
            found["path"] = value
        start = end
    return found
