"""References to images stored in the rows of a table.

In the JSON of a row, the bytes of an image are replaced by a reference,
``row-<r>/<k>/<digest>.jpg``: image k of row r, both counted from 0, and the first 128 bits of the
sha256 of its bytes. With the digest, references alone identify a sample's content, and a changed
table is noticed.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

_REFERENCE = re.compile(r"row-(\d+)/(\d+)/([0-9a-f]{32})\.[a-z]{3,4}")
_SIGNATURES = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\0": "tif",
    b"MM\0*": "tif",
    b"P5": "pgm",
    b"P6": "ppm",
}


def is_embedded(reference: object) -> bool:
    """Return whether a value is a reference to an image in a row."""
    return isinstance(reference, str) and _REFERENCE.fullmatch(reference) is not None


def locate(reference: str) -> tuple[int, int, str] | None:
    """Return row, number and digest of a reference, or None if it is not one."""
    found = _REFERENCE.fullmatch(reference)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def content_name(reference: str) -> str:
    """Return what represents an image in a sample's digest: its path, or the digest of its bytes.

    The prefix of a mixture's part is dropped if the bytes are known.
    """
    own = reference.rpartition(":")[2]
    return PurePosixPath(own).name if is_embedded(own) else reference


def short_digest(content: bytes) -> str:
    """Return the first 128 bits of the sha256, as 32 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:32]


def detach(value: object, row: int | None, count: Iterator[int]) -> object:
    """Copy a row's value, as pyarrow returns it, with bytes replaced by references.

    Bytes become ``{"path": None, "bytes": reference}``; in an object of ``bytes`` and ``path``,
    only ``bytes`` is replaced. `count` numbers the images of the row over all its values. If `row`
    is None, bytes are dropped and no references are made.
    """
    if isinstance(value, bytes):
        return {"path": None, "bytes": _reference(row, next(count), value)}
    if isinstance(value, list | tuple):
        return [detach(item, row, count) for item in value]
    if isinstance(value, dict):
        if isinstance(value.get("bytes"), bytes):
            return value | {"bytes": _reference(row, next(count), value["bytes"])}
        return {key: detach(item, row, count) for key, item in value.items()}
    return value


def contents(value: object) -> Iterator[bytes]:
    """Yield the bytes in a row's value, in the order in which `detach` numbers them."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from contents(item)
    elif isinstance(value, dict):
        own = value.get("bytes")
        for item in [own] if isinstance(own, bytes) else value.values():
            yield from contents(item)


def _reference(row: int | None, number: int, content: bytes) -> str | None:
    return None if row is None else f"row-{row}/{number}/{short_digest(content)}.{_suffix(content)}"


def _suffix(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((s for start, s in _SIGNATURES.items() if content.startswith(start)), "bin")
