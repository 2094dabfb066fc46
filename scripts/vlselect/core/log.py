"""Logging and progress for entry scripts: one line format, no progress bars outside terminals."""

import functools
import gc
import logging
import multiprocessing.util
import os
import re
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from vlselect.core.errors import InputError, lacks_memory, one_line

SNAKEMAKE = "VLSELECT_SNAKEMAKE"  # set by the Snakemake that starts jobs: its process, and where
_IN_WORKER = re.compile(r"Caught \w+ in DataLoader worker.*\nvlselect\.[\w.]+: ", re.DOTALL)
GRACE = 60  # seconds in which a job has to end by SIGTERM
OF_A_JOB = "%(asctime)s %(levelname)s %(name)s: %(message)s"
BY_HAND = "%(levelname)s: %(message)s"  # of a command that a person waits for

logger = logging.getLogger(__name__)


def start(level: int = logging.INFO, form: str = OF_A_JOB) -> None:
    """Send log records of this process to stderr, once, in one of the project's two formats.

    SIGTERM, by which a scheduler ends a job, becomes an exit that removes half-written files; a job
    gets one too when its Snakemake is gone. An `InputError` ends in a line that says what is wrong;
    any other shows where it happened, and a last line if it was for want of memory. In a Slurm job
    the first line names the job, its node and its GPUs. Workers find their process whatever TMPDIR.
    """
    os.environ["RUST_BACKTRACE"] = "0"  # writing a trace without memory stops tokenizers for ever
    _shorten_socket_names()
    logging.basicConfig(
        level=level,
        format=form,
        datefmt="%H:%M:%S",
        stream=sys.stderr,
        force=True,
    )
    sys.excepthook = _report
    _freeze_imports()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
        _end_with_snakemake()
    if "SLURM_JOB_ID" in os.environ:
        names = ("SLURM_JOB_ID", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")
        logger.info("Slurm job %s on %s, GPUs: %s", *(os.environ.get(n, "none") for n in names))


def _shorten_socket_names() -> None:
    """Let worker processes meet in /tmp if TMPDIR is too long for the name of a socket, 107 bytes.

    Else their results never arrive, and the process waits for ever. Python 3.14 does it itself.
    """
    before = tempfile.gettempdir()
    if len(os.fsencode(before)) + 32 <= 107:  # with what multiprocessing puts behind it
        return
    tempfile.tempdir = "/tmp"  # where this process gets a folder of its own
    try:
        multiprocessing.util.get_temp_dir()  # kept for it and for those that it forks
    finally:
        tempfile.tempdir = before


@functools.cache
def _freeze_imports() -> None:
    """Look for no garbage in what was imported, which stays; once, since counting it takes long."""
    gc.freeze()
    gc.enable()  # which entries that import torch turn off before


def name_snakemake() -> None:
    """Let the jobs that this process starts know it: called by the workflow."""
    if hasattr(os, "pidfd_open"):
        os.environ[SNAKEMAKE] = f"{os.getpid()} {_place()}"


def _place() -> str:
    """Return the machine and, in a container, the part of it in which process ids are valid."""
    return f"{os.uname().nodename} {Path('/proc/self/ns/pid').readlink()}"


def _end_with_snakemake() -> None:
    """End this process, as SIGTERM does, once the Snakemake that started it was killed.

    Else the same command, given again, would run beside jobs that go on. On Linux only.
    """
    pid, _, place = os.environ.get(SNAKEMAKE, "").partition(" ")
    if not hasattr(os, "pidfd_open") or not pid or place != _place() or int(pid) == os.getpid():
        return
    try:
        found = os.pidfd_open(int(pid)) if int(pid) in _ancestors() else None
    except ProcessLookupError:
        found = None

    def watch() -> None:
        if found is not None:
            select.select([found], [], [])  # readable when that process has ended
        logger.error("the Snakemake that started this job is gone")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="watch Snakemake").start()


def _ancestors() -> Iterator[int]:
    """Yield the process ids of this process's parent, its parent and so on."""
    pid = os.getppid()
    with suppress(OSError):  # some systems hide the processes of other users
        while pid:
            yield pid
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
            pid = int(stat.rpartition(")")[2].split()[1])


def _terminate(number: int, frame: object) -> None:
    logger.error("terminated")
    sys.exit(128 + number)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, InputError):
        logger.error("%s", _IN_WORKER.sub("", str(error)).rstrip())
        return
    sys.__excepthook__(kind, error, trace)
    if lacks_memory(error):
        logger.error("%s", one_line(error))


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
