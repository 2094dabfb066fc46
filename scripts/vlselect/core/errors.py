"""Errors for users: an input is wrong, and the message says which.

`log.start` shows only their message. Any other error is a bug, or a fault of the system, and shows
its traceback.
"""


class InputError(ValueError):
    """A file, a config value or a flag is invalid."""


class MissingFileError(InputError, FileNotFoundError):
    """A named file or folder does not exist."""


class InfeasibleError(InputError):
    """No subset of this size meets the requirements."""
