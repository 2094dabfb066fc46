"""Paths that are no plain files, and a limit on the time that a reader may take over them."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

KINDS = ("pipe", "device")


@contextmanager
def special(path: Path, kind: str) -> Iterator[Path]:
    """Make a pipe that none writes to, or a link to a device that never ends.

    Who still waits for the pipe when the block ends is let go.
    """
    if kind == "device":
        path.symlink_to("/dev/zero")
        yield path
        return
    os.mkfifo(path)
    try:
        yield path
    finally:
        with suppress(OSError):  # none waits
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def within(seconds: float, read: Callable[[], object]) -> object:
    """Return what a function returns, or raise what it raises; TimeoutError if it takes longer."""
    future: Future = Future()

    def run() -> None:
        try:
            future.set_result(read())
        except Exception as error:  # noqa: BLE001 (raised in the caller)
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result(seconds)
