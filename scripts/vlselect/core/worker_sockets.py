"""Where worker processes meet: sockets, whose names the system allows 107 bytes."""

import multiprocessing.util
import os
import tempfile

LONGEST = 75  # bytes of the folder: multiprocessing puts 32 behind it
SHORT = "/tmp"  # it gets a folder of this process's own


def shorten_names() -> None:
    """Let the workers of this process meet in /tmp if TMPDIR is too long for the name of a socket.

    Else their results never arrive, and the process waits for ever. Python 3.14 does it itself.
    """
    before = tempfile.gettempdir()
    if len(os.fsencode(before)) <= LONGEST:
        return
    tempfile.tempdir = SHORT
    try:
        multiprocessing.util.get_temp_dir()  # kept for this process and those that it forks
    finally:
        tempfile.tempdir = before
