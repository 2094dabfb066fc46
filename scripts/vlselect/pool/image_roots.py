"""Where the images of records lie, and how each is reached from the reference that a sample bears.

A location is a folder, an uncompressed tar or a glob of them, or the tables that the records came
from, whose bytes are read in place. A pool has one; a mixture has one for each part, and there a
reference is ``<part>:<path>``, where it is the record's own path otherwise. No reference leads out
of its location: not by ``..``, an absolute path or a link. A tar's links are not followed at all.
"""

import argparse
import os
import posixpath
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Protocol

from vlselect.config.record_files import TABLES, by_part, is_glob, is_saved_dataset, record_files
from vlselect.core.errors import InputError, MissingFileError
from vlselect.pool.embedded import locate, short_digest
from vlselect.pool.rejection import Rejection
from vlselect.pool.row_bytes import RowBytes
from vlselect.pool.tar_index import read_index

TARS = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")  # the packed ones are refused by name
LARGEST = 1 << 30  # bytes of one image in a tar


class ImageError(Rejection, InputError):
    """An image cannot be used; `reason` and `detail` as for a record, the detail names the path."""


class Root(Protocol):
    """One location."""

    def require(self) -> None:
        """Raise an error that names the location, if it cannot be used."""

    def path(self, name: str) -> Path | None:
        """The file of an image; None where it is part of a file. Raises `ImageError`."""

    def read(self, name: str) -> bytes:
        """The bytes of an image. Raises `ImageError`."""


class ImageRoots:
    """The locations of a pool's or a task's images.

    Parameters
    ----------
    locations : mapping of str or None to str or Path
        Location of each part of a mixture; of a pool without parts, the one under None.

    Attributes
    ----------
    folder : Path or None
        The folder, where all images are in one and references are their paths.
    """

    def __init__(self, locations: Mapping[str | None, str | Path]):
        self._locations = {part: str(location) for part, location in locations.items()}
        self._roots = {part: _open(location) for part, location in locations.items()}
        plain = self._roots.get(None)
        self.folder = plain.folder if isinstance(plain, FolderRoot) else None

    def __repr__(self) -> str:
        """Name the locations: the same ones read alike in every process."""
        return f"ImageRoots({self._locations})"

    @classmethod
    def parse(cls, values: "ImageRoots | str | Path | Sequence[str | Path]") -> "ImageRoots":
        """Read ``--images``: one location, or ``<part>=<location>`` for each part.

        A single location is opened once in a process, however often it is named.
        """
        if isinstance(values, ImageRoots):
            return values
        if isinstance(values, str | Path):
            return _single(str(values))
        if len(values) == 1 and Path(values[0]).exists():
            return _single(str(values[0]))  # also where its name holds "="
        return cls(by_part(map(str, values)))

    def require(self) -> None:
        """Refuse a location that is not there: else every image would be called missing.

        Raises
        ------
        OSError or ValueError
            Naming it.
        """
        for root in self._roots.values():
            root.require()

    def path(self, reference: str) -> Path | None:
        """Find the file of an image, with links followed; None where it is in a tar or a table.

        Raises
        ------
        ImageError
            ``image_outside_root`` or ``missing_image``.
        """
        root, name = self._find(reference)
        return root.path(name)

    def read(self, reference: str) -> bytes:
        """Read the bytes of an image, as they are.

        Raises
        ------
        ImageError
            As `path`; ``truncated_image`` or ``oversized_image`` of a tar, ``unreadable_image`` of
            a table that has changed.
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
            raise InputError(f"image {reference!r} is of none of the parts {known}")
        if "\0" in name:
            raise ImageError("missing_image", f"{name!r}: a path holds no null character")
        return self._roots[part], name


class FolderRoot:
    """A folder of image files."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._real = os.path.realpath(folder)

    def require(self) -> None:
        """Refuse what is no folder."""
        if not self.folder.is_dir():
            raise MissingFileError(f"the image root {str(self.folder)!r} is not a folder")

    def path(self, name: str) -> Path:
        """The file, with links followed."""
        real = os.path.realpath(os.path.join(self._real, name))  # noqa: PTH118 (as realpath takes it)
        if name.startswith("/") or posixpath.commonpath((real, self._real)) != self._real:
            raise ImageError("image_outside_root", f"{name!r} is not a path inside the image root")
        if not os.path.isfile(real):  # noqa: PTH113 (never raises, on names too long either)
            raise ImageError("missing_image", f"{name!r}: no such file in the image root")
        return Path(real)

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        return self.path(name).read_bytes()


class TarRoot:
    """Images inside plain tars; the headers are read when the first image is asked for."""

    def __init__(self, location: str | Path):
        self._location, self._lock = location, Lock()

    def require(self) -> None:
        """Refuse what is no tar."""
        with self._lock:
            _ = self._index

    def path(self, name: str) -> None:
        """None: an image is no file. Refused as in `read`."""
        self._place(name)

    def read(self, name: str) -> bytes:
        """The member's bytes."""
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
        """Tar, first byte and size of each member; size -1 of a link, -2 of a name in two tars."""
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
            raise ImageError("image_outside_root", f"{name!r} is not a path inside the tar")
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
    """Images in the rows of tables, which are opened when the first image is asked for."""

    def __init__(self, location: str | Path):
        self._location, self._lock = location, Lock()

    def require(self) -> None:
        """Refuse what is no table."""
        with self._lock:
            _ = self._rows

    def path(self, name: str) -> None:
        """None: an image is no file. Refused where the row has a path and no bytes."""
        if locate(name) is None:
            if _inside(name) is None:
                detail = f"{name!r} is a path out of the table {self._location}"
                raise ImageError("image_outside_root", detail)
            detail = (
                f"{name!r}: a path without bytes in {self._location}; `images` says where it is"
            )
            raise ImageError("missing_image", detail)

    def read(self, name: str) -> bytes:
        """The bytes in the row, if they are still those that the reference was made of."""
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


def _open(location: str | Path) -> Root:
    """Tell the kind of a location by what is there, else by its suffix."""
    path = Path(location)
    if path.is_dir():
        return TableRoot(path) if is_saved_dataset(path) else FolderRoot(path)
    if path.suffix in TABLES:
        return TableRoot(location)
    if path.suffix in TARS or is_glob(location) or path.is_file():
        return TarRoot(location)
    return FolderRoot(path)


def _inside(name: str) -> str | None:
    """A path without detours; None where it leads out of where it starts."""
    name = posixpath.normpath(name)
    return None if name.startswith(("/", "../")) or name == ".." else name
