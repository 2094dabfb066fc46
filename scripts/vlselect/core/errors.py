"""Errors for users: an input is wrong, and the message says which.

`log.start` shows only their message. Any other error is a bug, or a fault of the system, and shows
its traceback.
"""

# What a library raises of an input that it was not made for.
LIBRARY_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
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
    """Return the beginning of a library's message as one line; its kind, if it says no more."""
    text = " ".join(str(error).split())
    if not text or isinstance(error, KeyError):
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= length else f"{text[: length - 1]}…"
