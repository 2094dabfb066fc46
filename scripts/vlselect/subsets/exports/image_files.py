"""Paths of an export's images, which stay in their folders or are copied out of tars and datasets.

An image that is a file already stays where it is. One inside a tar or a dataset, which no trainer
opens, becomes a file below the export's ``images/``: with the same bytes, once for all records that
show it.
"""

import hashlib
import os
import unicodedata
from pathlib import Path, PurePosixPath

from vlselect.pool.image_roots import ImageRoots

LONGEST = 200  # bytes of a name in a path; file systems take 255


class ImageFiles:
    """Assign each image of an export a path, and write those that are not files yet.

    Parameters
    ----------
    roots : ImageRoots
        Where the pool's images are.
    folder : str or Path
        Where the export is being written.
    final : str or Path
        Where it will be when trainers read the paths.

    Attributes
    ----------
    n_written : int
        Images written so far.
    """

    def __init__(self, roots: ImageRoots, folder: str | Path, final: str | Path):
        self._roots, self._folder = roots, Path(folder)
        self._final = Path(os.path.realpath(final))
        self._taken: dict[str, str | None] = {}  # images by their paths, None for a folder
        self.n_written = 0

    def absolute(self, reference: str) -> str:
        """Return the absolute path of an image."""
        return str(self._file(reference))

    def relative(self, reference: str) -> str:
        """Return the path of an image relative to the export's folder."""
        return os.path.relpath(self._file(reference), self._final)

    def in_folder(self, reference: str) -> str:
        """Return the record's own path if all images are in one folder; else as `relative`."""
        file = self._file(reference)
        if self._roots.folder is not None:
            return reference
        return os.path.relpath(file, self._final)

    def _file(self, reference: str) -> Path:
        """Return the image's file, without ``..`` behind a link on its way."""
        path = self._roots.path(reference)
        if path is not None:
            return path
        name = PurePosixPath("images", self._name(reference))
        written = self._folder / name
        if not written.is_file():
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(self._roots.read(reference))
            self.n_written += 1
        return self._final / name

    def _name(self, reference: str) -> str:
        """Return the name below ``images/``, by a digest if other images have taken it."""
        name = file_name(reference)
        while not self._take(name, reference):
            name = _digest(name)
        return name

    def _take(self, name: str, reference: str) -> bool:
        """Take a name for an image; False if another is a folder of it, in it, or of its name.

        As on file systems for which upper and lower case, or two forms of an accent, are the same.
        """
        path = PurePosixPath(_caseless(name))
        folders = [str(folder) for folder in path.parents]
        if any(self._taken.get(folder) is not None for folder in folders):
            return False
        if self._taken.get(str(path), reference) != reference:
            return False
        self._taken |= dict.fromkeys(folders) | {str(path): reference}
        return True


def file_name(reference: str) -> str:
    """Return the name below ``images/``: the reference, if it can be a path.

    A reference that would leave the folder, or that no file system accepts, is named by its digest.
    """
    if all(_is_plain(name) for name in reference.split("/")):
        return reference
    return _digest(reference)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _caseless(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _is_plain(name: str) -> bool:
    return name.isprintable() and name.strip(".") != "" and len(name.encode()) <= LONGEST
