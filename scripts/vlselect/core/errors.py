"""Errors that are meant for users: something that they gave is wrong, and the message says what.

`log.start` shows their message alone. Any other error is a mistake in the program, or of the system
that it runs on, and shows where it happened.
"""


class InputError(ValueError):
    """A file, a value of the config or a flag is not as it has to be."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that was named is not there."""


class InfeasibleError(InputError):
    """No subset of this size is as it has to be."""
