"""Locations of images, and how each image is found from the reference in a sample.

A location is a folder, an uncompressed tar or a glob of them, or the tables that the records came
from, whose bytes are read in place. A pool has one location; a mixture has one per part, and its
references are ``<part>:<path>`` instead of the record's plain path. No reference may lead out of
its location: not by ``..``, nor as an absolute path, nor by a link, unless it lies in the folder
itself and is followed (`folder_root`). Links inside a tar are never followed.
"""

import argparse
import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Protocol

from vlselect.config.record_files import (
    TABLES,
    by_part,
    is_glob,
    is_saved_dataset,
    record_files,
    record_folder,
)
from vlselect.core.errors import InputError
from vlselect.pool.embedded import locate, short_digest
from vlselect.pool.folder_root import FolderRoot, file_path, leads_out
from vlselect.pool.rejection import ImageError
from vlselect.pool.row_bytes import RowBytes
from vlselect.pool.tar_index import read_index

TARS = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")  # compressed ones are refused
LARGEST = 1 << 30  # bytes of one image in a tar


class Root(Protocol):
    """One location."""

    def require(self) -> None:
        """Raise an error that names the location if it cannot be used."""

    def path(self, name: str) -> Path | None:
        """Return the file of an image; None if it is part of a larger file. Raises `ImageError`."""

    def read(self, name: str) -> bytes:
        """Read the bytes of an image. Raises `ImageError`."""


class ImageRoots:
    """The locations of a pool's or a task's images.

    Parameters
    ----------
    locations : mapping of str or None to str or Path
        Location of each part of a mixture; a pool without parts has one, under None.
    follow_links : {"root", "all"}, optional
        Which links that lead out of a folder are followed (`FolderRoot`). References that were
        accepted once are read with "all", the default: they lead where the intake let them.

    Attributes
    ----------
    folder : Path or None
        The folder, if all images are in one and references are paths relative to it.
    """

    def __init__(
        self, locations: Mapping[str | None, str | Path], follow_links: str | None = "all"
    ):
        self._locations = {part: str(location) for part, location in locations.items()}
        self._roots = {part: _open(where, follow_links) for part, where in locations.items()}
        plain = self._roots.get(None)
        self.folder = plain.folder if isinstance(plain, FolderRoot) else None

    def __repr__(self) -> str:
        """Return the locations; equal ones have the same text in every process."""
        return f"ImageRoots({self._locations})"

    @classmethod
    def parse(cls, values: "ImageRoots | str | Path | Sequence[str | Path]") -> "ImageRoots":
        """Read ``--images``: one location, or ``<part>=<location>`` for each part.

        A single location is opened only once per process.
        """
        if isinstance(values, ImageRoots):
            return values
        if isinstance(values, str | Path):
            return _single(str(values))
        if len(values) == 1 and Path(values[0]).exists():
            return _single(str(values[0]))  # even if its name contains "="
        return cls(by_part(map(str, values)))

    def require(self) -> None:
        """Check that every location exists; otherwise every image would be reported as missing.

        Raises OSError or ValueError, naming the location.
        """
        for root in self._roots.values():
            root.require()

    def locator(self, part: str | None, records: str | Path) -> Callable[[str], str]:
        """Return what turns a path in a part's records into one below its images, if they differ.

        `records` is the location of the records (`FolderRoot.locate`).
        """
        root = self._roots[part]
        if isinstance(root, FolderRoot):
            return partial(root.locate, beside=record_folder(records))
        return str

    def path(self, reference: str) -> Path | None:
        """Return the file of an image; None if it is in a tar or a table.

        Raises ImageError: ``image_outside_root`` or ``missing_image``.
        """
        root, name = self._find(reference)
        return root.path(name)

    def read(self, reference: str) -> bytes:
        """Read the bytes of an image, undecoded.

        Raises ImageError as `path`; also ``truncated_image`` or ``oversized_image`` from a tar,
        ``unreadable_image`` from a table that has changed.
        """
        root, name = self._find(reference)
        return root.read(name)

    def _find(self, reference: str) -> tuple[Root, str]:
        if None in self._roots:
            part, name = None, reference
        else:
            part, _, name = reference.partition(":")
        if part not in self._roots:
            known = ", ".join(map(str, self._roots))
            raise InputError(f"image {reference!r} belongs to none of the parts {known}")
        if "\0" in name:
            raise ImageError("missing_image", f"{name!r}: a path holds no null character")
        return self._roots[part], name


class TarRoot:
    """Images inside plain tars, whose headers are read when the first image is requested."""

    def __init__(self, location: str | Path):
        self._location, self._lock = location, Lock()

    def require(self) -> None:
        """Check that the tars can be read."""
        with self._lock:
            _ = self._index

    def path(self, name: str) -> None:
        """Return None, since an image is not a file here; errors as in `read`."""
        self._place(name)

    def read(self, name: str) -> bytes:
        """Read the member's bytes."""
        tar, start, size = self._place(name)
        if size > LARGEST:
            raise ImageError("oversized_image", f"{name!r}: {size} bytes, over {LARGEST}")
        with Path(tar).open("rb", buffering=0) as file:
            content = os.pread(file.fileno(), size, start)
        if len(content) < size:
            detail = f"{name!r}: {len(content)} of {size} bytes; the tar {tar} is truncated"
            raise ImageError("truncated_image", detail)
        return content

    @cached_property
    def _index(self) -> dict[str, tuple[str, int, int]]:
        """Tar, offset and size of each member; size -1 for a link, -2 for a name in two tars."""
        files = record_files(self._location)
        found: dict[str, tuple[str, int, int]] = {}
        for tar in files:
            for name, (start, size) in read_index(tar).items():
                own = _inside(name)
                if own is not None:
                    twice = own in found and found[own][0] != tar
                    found[own] = (tar, start, -2 if twice else size)
        return found

    def _place(self, name: str) -> tuple[str, int, int]:
        own = _inside(name)
        if own is None:
            detail = f"{name!r}, absolute or with '..', names no member of {self._location}"
            raise ImageError("image_outside_root", detail)
        with self._lock:
            index = self._index
        if own not in index:
            raise ImageError("missing_image", f"{name!r}: no such member of {self._location}")
        tar, start, size = index[own]
        if size == -1:
            raise ImageError("image_outside_root", f"{name!r} is a link in {tar}; none is followed")
        if size == -2:
            detail = f"{name!r} is in {tar} and in another tar of {self._location}"
            raise ImageError("unreadable_image", detail)
        return tar, start, size


class TableRoot:
    """Images in the rows of tables, which are opened when the first image is requested."""

    def __init__(self, location: str | Path):
        self._location, self._lock = location, Lock()

    def require(self) -> None:
        """Check that the tables can be read."""
        with self._lock:
            _ = self._rows

    def path(self, name: str) -> None:
        """Return None, since an image is not a file here; a path without bytes is an error."""
        if locate(name) is None:
            reason = "missing_image" if _inside(name) else "image_outside_root"
            detail = (
                f"{name!r}: no bytes in {self._location}, but a path; set `images` to its folder"
            )
            raise ImageError(reason, detail)

    def read(self, name: str) -> bytes:
        """Read the bytes in the row and check that they still match the reference."""
        self.path(name)
        row, number, expected = locate(name)
        with self._lock:
            rows = self._rows
        found = rows.read(row)
        if number >= len(found):
            raise ImageError("missing_image", f"{name!r}: no such image in {self._location}")
        if short_digest(found[number]) != expected:
            detail = f"{name!r}: {self._location} has changed since its records were read"
            raise ImageError("unreadable_image", detail)
        return found[number]

    @cached_property
    def _rows(self) -> RowBytes:
        return RowBytes(record_files(self._location))


def add_images_argument(parser: argparse.ArgumentParser, **keys: object) -> None:
    """Add ``--images``, whose value is an `ImageRoots`; `keys` go to ``add_argument``."""
    text = (
        "folder, tars or tables that hold the images; <part>=<location> of each part of a mixture"
    )
    parser.add_argument("--images", nargs="+", action=_ParseRoots, help=text, **keys)


class _ParseRoots(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None) -> None:
        setattr(namespace, self.dest, ImageRoots.parse(values))


@lru_cache(8)
def _single(location: str) -> ImageRoots:
    return ImageRoots({None: location})


def _open(location: str | Path, follow_links: str | None) -> Root:
    """Choose the kind of a location by what exists there, else by its suffix."""
    path = Path(location)
    if path.is_dir():
        return TableRoot(path) if is_saved_dataset(path) else FolderRoot(path, follow_links)
    if path.suffix in TABLES:
        return TableRoot(location)
    if path.suffix in TARS or is_glob(location) or path.is_file():
        return TarRoot(location)
    return FolderRoot(path, follow_links)


def _inside(name: str) -> str | None:
    """Return a normalised path, or None if it leads out of its root."""
    name = posixpath.normpath(file_path(name))
    return None if leads_out(name) else name
