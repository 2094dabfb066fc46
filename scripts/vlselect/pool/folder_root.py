"""A folder of images: which file a path in a record means, and that it is one of the folder's.

A record's path is text that anyone may have written. Whatever it says, the file lies in the folder,
or where a link leads that lies in the folder, was made by its owner, and is followed.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from vlselect.core.errors import MissingFileError
from vlselect.pool.rejection import ImageError

FOLLOW_LINKS = ("root", "all")  # links in the folder itself; those behind them too
_FILE_URL = re.compile(r"file:(?://(?:localhost)?)?(?=/)", re.IGNORECASE)
_KERNEL = ("/proc", "/sys", "/dev")


class FolderRoot:
    """A folder of image files.

    Parameters
    ----------
    folder : str or Path
    follow_links : {"root", "all"}, optional
        Which links that lead out of the folder are followed; none by default.
    """

    def __init__(self, folder: str | Path, follow_links: str | None = None):
        self.folder = Path(folder)
        self._follow = follow_links
        self._real = os.path.realpath(folder)
        self._names = (os.path.abspath(folder), self._real)  # noqa: PTH100 (a link's own name)

    def require(self) -> None:
        """Check that the folder exists."""
        if not self.folder.is_dir():
            raise MissingFileError(f"the image root {str(self.folder)!r} is not a folder")

    def locate(self, name: str, beside: str | None = None) -> str:
        """Return a record's path as one below the folder, if it is one in another form.

        These are absolute paths, ``file:`` URLs, and paths that climb out of the folder `beside`,
        that of the records, into this one. Any other is returned as it is.
        """
        full = file_path(name)
        if "\0" in full:
            return name
        if not full.startswith("/") and beside and leads_out(full):
            full = f"{beside}/{full}"
        own = self._below(posixpath.normpath(full)) if full.startswith("/") else None
        return name if own is None else own

    def path(self, name: str) -> Path:
        """Return the file; its links are resolved if that is in the folder too."""
        own = self.locate(name)
        if file_path(own).startswith("/"):
            where = f"outside the image root {str(self.folder)!r}"
            self._refuse(
                name, f"is an absolute path {where}; set `images` to a folder that holds it"
            )
        full = f"{self._real}/{own}"
        real = os.path.realpath(full)
        if _is_kernels(real) and not _is_kernels(self._real):
            self._refuse(name, f"leads to {real!r}, which is no file on a disk")
        if not _lies_in(real, self._real):
            self._check_links(name, own)
            full = posixpath.normpath(full)  # no ".." and so the same file
        if not os.path.isfile(real):  # noqa: PTH113 (never raises, not even on names that are too long)
            there = os.path.exists(real)  # noqa: PTH110
            what = "not a plain file" if there else f"no such file in the image root{_hint(own)}"
            if os.path.islink(full):  # noqa: PTH114
                what = f"a link to {os.readlink(full)!r}, which is not there"  # noqa: PTH115
            raise ImageError("missing_image", f"{name!r}: {what}")
        return Path(real if _lies_in(real, self._real) else full)

    def read(self, name: str) -> bytes:
        """Read the file's bytes."""
        return self.path(name).read_bytes()

    def _below(self, full: str) -> str | None:
        """Return an absolute path relative to the folder, or None if it is not in it."""
        for folder in self._names:
            if _lies_in(full, folder):
                return posixpath.relpath(full, folder)
        if _is_kernels(full):
            return None
        parent, name = posixpath.split(full)
        full = posixpath.join(os.path.realpath(parent), name)
        return posixpath.relpath(full, self._real) if _lies_in(full, self._real) else None

    def _check_links(self, name: str, own: str) -> None:
        """Check that a path which leads out does so by links that are followed."""
        parts = [part for part in own.split("/") if part not in ("", ".")]
        if ".." in parts:
            self._refuse(name, "leads out of the image root by '..'")
        allowed = here = self._real
        for part in parts:
            step = f"{here}/{part}"
            here = os.path.realpath(step)
            if _lies_in(here, allowed):
                continue
            link = f"leads out of the image root by the link {step!r}, to {here!r}"
            if self._follow is None:
                self._refuse(name, f"{link}; pool.follow_links is off")
            if allowed != self._real and self._follow != "all":
                self._refuse(name, f"{link}; it lies behind another: `pool.follow_links: all`")
            if allowed == self._real and not self._is_owners(step):
                self._refuse(name, f"{link}; the link is not by the owner of the image root")
            allowed = here

    def _is_owners(self, link: str) -> bool:
        """Return whether a link was made by the folder's owner, this user or the superuser."""
        known = {Path(self._real).stat().st_uid, os.getuid(), 0}
        return Path(link).lstat().st_uid in known

    def _refuse(self, name: str, why: str) -> NoReturn:
        raise ImageError("image_outside_root", f"{name!r} {why}")


def _hint(name: str) -> str:
    """Return why there may be no file of a name, by how it is written."""
    if "\\" in name:
        return "; its separators are those of Windows: write /"
    if "%" in name and unquote(name) != name:
        return f"; it is quoted as in a URL: write {unquote(name)!r}"
    if name.startswith("file:"):
        return "; a URL of a file is file:///…, with its absolute path"
    if name.startswith("~"):
        return "; in records, ~ is no home folder: write paths that begin in the image root"
    return "; it begins or ends with a blank" if name != name.strip() else ""


def file_path(name: str) -> str:
    """Return the path of a ``file:`` URL of this machine; any other path as it is."""
    url = _FILE_URL.match(name)
    return unquote(name[url.end() :]) if url else name


def leads_out(name: str) -> bool:
    """Return whether a path is absolute or, by its text, leads out of where it begins."""
    name = posixpath.normpath(name)
    return name.startswith(("/", "../")) or name == ".."


def _is_kernels(path: str) -> bool:
    """Return whether an absolute path means a device or a process, not a file on a disk."""
    return any(_lies_in(path, folder) for folder in _KERNEL) and not _lies_in(path, "/dev/shm")


def _lies_in(path: str, folder: str) -> bool:
    """Return whether an absolute path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
