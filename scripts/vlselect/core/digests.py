"""Digests of files and folders, which identify inputs and results."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vlselect.core.errors import InputError


def file_digest(path: Path) -> str:
    """Return the sha256 (hex) of a file, or of the names and contents of all files in a folder."""
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        if path.is_dir():
            total.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                total.update(chunk)
    return total.hexdigest()


@contextmanager
def unchanged(paths: Iterable[str]) -> Iterator[None]:
    """Check that files are at the block's end what they were at its beginning, by size and time.

    Raises InputError, naming the first that is not.
    """
    before = {path: _stamp(path) for path in paths}
    yield
    for path, stamp in before.items():
        if _stamp(path) != stamp:
            raise InputError(f"{path} was changed while it was read: run again")


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        found = Path(path).stat()
    except OSError:  # for those to name who read it
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
