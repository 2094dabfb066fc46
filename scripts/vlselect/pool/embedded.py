"""Images inside the rows of a table: how each is referred to, and how it is found again.

In the JSON of a row the bytes of an image give way to a reference, ``row-<r>/<k>/<digest>.jpg``:
the k-th image of row r, both counted from 0, and the first 128 bits of its bytes' sha256. By the
digest the content of a sample is known from its references, and a change of the table is noticed.
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
    """Whether a value is the reference to an image in a row."""
    return isinstance(reference, str) and _REFERENCE.fullmatch(reference) is not None


def locate(reference: str) -> tuple[int, int, str] | None:
    """Row, number and digest of a reference; None where it is none."""
    found = _REFERENCE.fullmatch(reference)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def content_name(reference: str) -> str:
    """What an image is known by in the digest of a sample: its path, or its bytes' digest.

    The part of a mixture, before a colon, plays no part where the bytes are known.
    """
    own = reference.rpartition(":")[2]
    return PurePosixPath(own).name if is_embedded(own) else reference


def short_digest(content: bytes) -> str:
    """First 128 bits of the sha256, as 32 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:32]


def detach(value: object, row: int | None, count: Iterator[int]) -> object:
    """Copy a row's value with references in the place of bytes.

    Parameters
    ----------
    value : object
        A value of a row, as pyarrow gives it.
    row : int or None
        The row; without it there are no references, and bytes are left out.
    count : iterator of int
        Numbers the images of the row, over all its values.

    Returns
    -------
    object
        Bytes have become ``{"path": None, "bytes": reference}``; in an object of ``bytes`` and
        ``path``, the bytes alone the reference.
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
    """Give the bytes in a row's value, in the order in which `detach` numbers them."""
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
