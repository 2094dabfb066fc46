"""Paths that are no plain files, and a limit on the time that a reader may take over them."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

KINDS = ("pipe", "device")


def make_special(path: Path, kind: str) -> Path:
    """Make a pipe that none writes to, or a link to a device that never ends."""
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return path


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
