"""Run a command as a process of its own and measure its time, CPU time and memory (Linux)."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL = 0.02  # seconds between two samples of its memory
_TIMED = re.compile(r"vlselect\S*: (.+): (\d+\.\d) s$")  # written by vlselect.core.log.timed


@dataclass
class Cost:
    """Cost of a process.

    Attributes
    ----------
    seconds, cpu_seconds : float
        Wall-clock time from start to end; user plus system time of all its threads.
    peak_rss : int
        Largest resident set in bytes, file-mapped pages included, as counted by the kernel.
    peak_anonymous : int
        Largest part of it that no file backs, sampled.
    parts : dict of str to float
        Seconds of the parts that the process timed and logged itself.
    """

    seconds: float
    cpu_seconds: float
    peak_rss: int
    peak_anonymous: int
    parts: dict[str, float] = field(default_factory=dict)


def run(command: Sequence[object], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end; RuntimeError, with the end of its stderr, if it fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*map(str, command)], stderr=log, env={**os.environ, **(environment or {})}
        )
        rss = anonymous = 0
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            memory = _memory(process.pid)
            rss = max(rss, memory.get("VmHWM", 0))
            anonymous = max(anonymous, memory.get("RssAnon", 0))
            time.sleep(INTERVAL)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        text = log.read()
    if process.returncode:
        raise RuntimeError(f"{command[1]} ended with {process.returncode}:\n{text[-3000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(seconds, cpu, rss, anonymous, _parts(text.splitlines()))


def forget(paths: Iterable[Path]) -> None:
    """Drop files from the system's cache, so that the next reader reads the disk."""
    for path in paths:
        with Path(path).open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _memory(process: int) -> dict[str, int]:
    """Return the bytes in /proc/<process>/status by name; empty if the process has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: 1024 * int(value.split()[0]) for name, value in pairs}


def _parts(lines: Iterable[str]) -> dict[str, float]:
    found = filter(None, map(_TIMED.search, lines))
    return {match[1]: float(match[2]) for match in found}
