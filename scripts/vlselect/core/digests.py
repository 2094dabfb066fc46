"""Digests of files and folders, which identify inputs and results."""

import hashlib
from pathlib import Path


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
