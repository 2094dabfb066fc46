"""CPU seconds of each file of tests, with those of all processes that it starts.

    PYTHONPATH=tests/support python -m pytest -p cpu_seconds -p no:xdist tests/workflow/test_plan.py

What a machine does besides changes wall time, and hardly this. Reads /proc, so it is for Linux;
processes that outlive those that started them are not counted.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

TICKS = os.sysconf("SC_CLK_TCK")  # a second
SPENT: Counter = Counter()


def cpu_seconds() -> float:
    """Return what this process and all below it have taken, also those that have ended."""
    below: dict[int, list[int]] = {}
    own: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        _, parent, *rest = text.rpartition(")")[2].split()
        process = int(path.parent.name)
        below.setdefault(int(parent), []).append(process)
        own[process] = sum(map(int, rest[9:13])) / TICKS  # user, system; of children waited for
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        process = waiting.pop()
        total += own.get(process, 0.0)
        waiting += below.get(process, ())
    return total


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count a test, and the fixtures that it is the first to ask for, to its file."""
    begin = cpu_seconds()
    try:
        return (yield)
    finally:
        SPENT[item.location[0]] += max(cpu_seconds() - begin, 0.0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the files that took most."""
    terminalreporter.section("CPU seconds")
    for file, seconds in SPENT.most_common(20):
        terminalreporter.write_line(f"{seconds:8.1f} {file}")
    terminalreporter.write_line(f"{SPENT.total():8.1f} in all")
