"""Run trials of hostile input one after another in child processes, within bounds, and count them.

A trial returns how it ended, or raises: then it fell. One that crashes its process or takes too
long falls too, and the next ones go on in a new process.
"""

import contextlib
import multiprocessing
import os
import resource
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

READ, REFUSED, FELL = "read", "refused", "fell"
SECONDS = 20  # that one trial may take
MEMORY = 2 << 30  # bytes of address space that one trial may take beyond those of its start

Trial = Callable[[int], str]  # of a number: READ or REFUSED


class Trials:
    """Trials of one sort; a subclass is called with a number, and may need something meanwhile."""

    def __enter__(self) -> "Trials":
        """Prepare what the trials need."""
        return self

    def __exit__(self, *error: object) -> None:
        """Take it away."""


@dataclass
class Row:
    """The trials of one kind: how many were read, refused and fell; seconds of the slowest one."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((READ, REFUSED, FELL), 0))
    slowest: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How one trial ended; `detail` says why it fell, `peak` is its process's memory in bytes."""

    number: int
    kind: str
    ended: str
    detail: str
    seconds: float
    peak: int


def run(kind_of: Callable[[int], str], trial: Trial, numbers: Sequence[int]) -> Iterator[Outcome]:
    """Run the trials of these numbers, which are all that each depends on."""
    waiting, context = list(numbers), multiprocessing.get_context("fork")
    while waiting:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(trial, list(waiting), theirs))
        child.start()
        theirs.close()
        while waiting:
            number, begin, why = waiting[0], time.monotonic(), "it took too long"
            try:
                if ours.poll(2 * SECONDS):
                    ended, detail, seconds, peak = ours.recv()
                    waiting.pop(0)
                    yield Outcome(number, kind_of(number), ended, detail, seconds, peak)
                    continue
            except EOFError:
                child.join()
                why = f"its process ended with {child.exitcode}"
            child.kill()
            waiting.pop(0)
            yield Outcome(number, kind_of(number), FELL, why, time.monotonic() - begin, 0)
            break
        child.join()
        ours.close()


def table(outcomes: Iterator[Outcome], tell: Callable[[str], None] = print) -> dict[str, Row]:
    """Count outcomes by kind; `tell` what fell as it falls, and the table at the end."""
    rows: dict[str, Row] = {}
    peak = 0
    for outcome in outcomes:
        row = rows.setdefault(outcome.kind, Row())
        row.counts[outcome.ended] += 1
        row.slowest, peak = max(row.slowest, outcome.seconds), max(peak, outcome.peak)
        if outcome.ended == FELL:
            tell(f"trial {outcome.number} ({outcome.kind}) fell: {outcome.detail}")
    tell(f"{'kind':34} {'tried':>6} {'read':>6} {'refused':>8} {'fell':>5} {'slowest':>9}")
    for kind, row in sorted(rows.items()):
        read, refused, fell = row.counts.values()
        line = f"{sum(row.counts.values()):6} {read:6} {refused:8} {fell:5} {row.slowest:8.2f}s"
        tell(f"{kind:34} {line}")
    tell(f"most memory of a process: {peak >> 20} MiB")
    return rows


def _work(trial: Trial, numbers: Sequence[int], results: Connection) -> None:
    """Run trials in this process, silently; send how each ended."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    for number in numbers:
        begin, detail = time.monotonic(), ""
        with _bounded():
            try:
                ended = trial(number)
            except BaseException:  # noqa: BLE001 (whatever it is, it is what the trial looks for)
                ended, detail = FELL, traceback.format_exc(limit=-3, chain=False)
        seconds = time.monotonic() - begin
        if seconds > SECONDS and ended != FELL:
            ended, detail = FELL, f"it took {seconds:.0f} s"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        results.send((ended, detail, seconds, peak))


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Bound the address space in the block by what it is at its beginning, and `MEMORY`."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        now = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
