"""Errors for users: an input is wrong, and the message says which.

`log.start` shows only their message. Any other error is a bug, or a fault of the system, and shows
its traceback.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a library raises of an input that it was not made for.
LIBRARY_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
)
_NO_MEMORY = (  # in the words of the system and of libraries; a new thread needs memory too
    *(os.strerror(errno.ENOMEM), os.strerror(errno.EAGAIN), "can't start new thread"),
    *("out of memory", "could not create a primitive"),  # Pillow's, oneDNN's
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_CUT_SHORT = (  # what torch says of it, without the system's words
    *("PytorchStreamWriter failed", "unexpected pos ", "basic_ios::clear: iostream error"),
)


class InputError(ValueError):
    """A file, a config value or a flag is invalid."""


class MissingFileError(InputError, FileNotFoundError):
    """A named file or folder does not exist."""


class MissingLibraryError(InputError, ImportError):
    """A model needs a library that is not installed."""


class InfeasibleError(InputError):
    """No subset of this size meets the requirements."""


def one_line(error: Exception, length: int = 300) -> str:
    """Return the beginning of a library's message as one line; its kind, if it says no more.

    For want of memory the line says so, whatever the library's words.
    """
    text = " ".join(str(error).split())
    if not text or isinstance(error, KeyError):
        text = f"{type(error).__name__} {text}".strip()
    if lacks_memory(error) and "out of memory" not in text:
        text = f"out of memory: {text}"
    return text if len(text) <= length else f"{text[: length - 1]}…"


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error of whatever library is for want of memory, not for its input."""
    known = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    return known or any(text in str(error) for text in _NO_MEMORY)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Convert the error of a disk that takes no more, by any library, to one that names the path.

    Libraries that write in other languages pass on the system's words only.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = _full_disk(str(error))
        if reason is None:
            raise
        raise InputError(
            f"{path} cannot be written: {reason}. Nothing is left of it; make room, or set another "
            "folder of results, and run again"
        ) from error


def _full_disk(message: str) -> str | None:
    """Return in which way a disk takes no more, if that is what a library's message says."""
    full = next((text for text in map(os.strerror, _FULL) if text in message), None)
    cut_short = any(text in message for text in _CUT_SHORT)
    return full or ("the disk took only a part of it" if cut_short else None)


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Convert what libraries raise of a file that is missing or broken to an error that names it.

    The block reads the file, and what it holds; errors for users pass.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} is not there") from error
    except (OSError, *LIBRARY_ERRORS) as error:
        raise InputError(f"{path}: {one_line(error)}") from error
