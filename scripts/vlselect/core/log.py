"""Logging and progress for entry scripts: one line format, no progress bars outside terminals."""

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from vlselect.core.errors import InputError

logger = logging.getLogger(__name__)


def start(level: int = logging.INFO) -> None:
    """Send log records of this process to stderr, once, in the project's format.

    SIGTERM, by which a scheduler ends a job, becomes an exit that removes half-written files. An
    `InputError` ends in a line that says what is wrong; any other shows where it happened. In a
    Slurm job the first line names the job, its node and its GPUs.
    """
    logging.basicConfig(
        level=level,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
        force=True,
    )
    sys.excepthook = _report
    if not gc.get_freeze_count():  # what was imported stays: no garbage is looked for in it
        gc.freeze()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    if "SLURM_JOB_ID" in os.environ:
        names = ("SLURM_JOB_ID", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")
        logger.info("Slurm job %s on %s, GPUs: %s", *(os.environ.get(n, "none") for n in names))


def _terminate(number: int, frame: object) -> None:
    logger.error("terminated")
    sys.exit(128 + number)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, InputError):
        logger.error("%s", error)
    else:
        sys.__excepthook__(kind, error, trace)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log `what` and the wall-clock seconds that the block took."""
    begin = time.perf_counter()
    yield
    logger.info("%s: %.1f s", what, time.perf_counter() - begin)


def progress(iterable: Iterable, total: int | None = None, description: str = "") -> Iterator:
    """Iterate with a progress bar on a terminal, and with at most one log line a minute elsewhere.

    `description` starts each line; `total` is the number of items if ``len(iterable)`` is unknown.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(iterable, total=total, desc=description)
        return
    total = total if total is not None else getattr(iterable, "__len__", lambda: None)()
    last = time.monotonic()
    for done, item in enumerate(iterable):
        if time.monotonic() - last > 60:
            logger.info("%s: %s of %s", description, done, total if total is not None else "?")
            last = time.monotonic()
        yield item
