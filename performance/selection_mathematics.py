"""Selection mathematics compared with the plain form of the released programs, for growing pools.

A contender first runs in a process of its own, within limits of time and memory, for its peak
memory; its result has to equal that of the plain forms before anything is timed. The contenders
that ran are then timed in turns, on one thread, reading files from the system's cache. Influence
is also compared with the machine's best: reading the gradients from the disk, or the products.
"""

import argparse
import math
import re
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import floors
import measure
import numpy as np
import plot_selection
from clocks import in_turns, ratio, write_table
from selection_mathematics_cases import CASES, TASKS, WIDTHS, read, tasks_of
from threadpoolctl import threadpool_limits

from vlselect.gradients import influence

RESULTS = Path(__file__).resolve().parents[1] / "results/performance"
SECONDS = 60  # processor seconds allowed for one run
MEMORY = 12 << 30  # bytes allowed
NO_MEMORY = 3  # exit status
TOLERANCE = 1e-3
LONG = 10  # seconds; if a run takes longer, there is no warm-up, and
FEWER = 2  # rounds


@dataclass
class Run:
    """A contender's run in a process of its own: its result and cost, or why it has none."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = math.nan
    peak: float = math.nan
    why_not: str = ""


def alone(
    method: str, contender: str, folder: Path, seconds: int = SECONDS, memory: int = MEMORY
) -> Run:
    """Run a contender in a process of its own, within limits of seconds and bytes.

    A failure for any other reason than these limits is a RuntimeError.
    """
    out = folder / "result.npz"
    command = [sys.executable, __file__, "--alone", method, contender, folder, out]
    command += [seconds, memory]
    try:
        cost = measure.run(command)
    except RuntimeError as error:
        status = int(re.search(r"ended with (-?\d+)", str(error))[1])
        reasons = {
            -signal.SIGXCPU: f"takes over {seconds} s",
            NO_MEMORY: f"needs over {memory >> 30} GiB",
        }
        if status not in reasons:
            raise
        return Run(why_not=reasons[status])
    with np.load(out) as arrays:
        return Run(dict(arrays), cost.cpu_seconds, cost.peak_rss / 2**30)


def run_alone(method: str, contender: str, folder: str, out: str, *limits: str) -> None:
    """Run one contender in that process."""
    seconds, memory = map(int, limits)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        arrays = CASES[method].contenders[contender](Path(folder))
    except MemoryError:
        sys.exit(NO_MEMORY)
    np.savez(out, **arrays)


def difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Return the difference of two results, the largest over the arrays that both have.

    Of picks and votes, the share that differs; of other numbers, the largest difference in units
    of the largest number.
    """
    worst = 0.0
    for name in sorted(found.keys() & expected.keys()):
        a, b = found[name], expected[name]
        if name == "picks":
            error = 1 - len(np.intersect1d(a, b)) / max(len(a), len(b))
        elif a.dtype.kind == "f":
            error = float(np.abs(a - b).max() / np.abs(b).max())
        else:
            error = float((a != b).mean())
        worst = max(worst, error)
    return worst


def require_same(name: str, found: Mapping, expected: Mapping) -> float:
    """Refuse contenders whose results differ; return the difference."""
    error = difference(found, expected)
    if not error < TOLERANCE:
        raise ValueError(f"{name}: the result is off by {error:.2g}")
    return error


def influence_floor(folder: Path, rounds: int) -> dict[str, object]:
    """Compare influence, its gradients read from the disk, with the least time it could take.

    Wall-clock seconds: of reading the same file from beginning to end, or of the products at the
    rate of a large matrix product, whichever is longer.
    """
    pool, tasks = read(folder), tasks_of(folder)
    path = pool.paths[0]
    amount = 2 * len(pool) * WIDTHS["influence"] * TASKS
    products = amount / floors.product("float32")
    seconds, reading = [], []
    for _ in range(rounds):
        reading.append(path.stat().st_size / floors.disk(path))
        measure.forget([path])
        begin = time.perf_counter()
        influence.compute(pool, tasks)
        seconds.append(time.perf_counter() - begin)
    disk = statistics.median(reading)
    return {
        "cold_seconds": statistics.median(seconds),
        "floor": "disk" if disk > products else "float32 products",
        "floor_seconds": max(disk, products),
        "share_of_floor": statistics.median(
            max(least, products) / took for least, took in zip(reading, seconds, strict=True)
        ),
    }


def compare(method: str, n: int, folder: Path, rounds: int, given_up: dict) -> list[dict]:
    """Check and time the contenders of a method on a pool of n; return rows of the table.

    `given_up` maps contenders that failed on a smaller pool to the reason.
    """
    case = CASES[method]
    case.make(folder, n)
    runs = {
        name: Run(why_not=given_up[name]) if name in given_up else alone(method, name, folder)
        for name in case.contenders
    }
    if runs["ours"].why_not:
        raise ValueError(f"{case.title}, ours: {runs['ours'].why_not}")
    given_up |= {
        name: f"{run.why_not} already at {n:,} samples"
        for name, run in runs.items()
        if run.why_not and name not in given_up
    }
    done = {name: run for name, run in runs.items() if not run.why_not}
    errors = {
        name: require_same(f"{case.title}, {name}", done["ours"].arrays, run.arrays)
        for name, run in done.items()
        if name != "ours"
    }
    running = {name: partial(case.contenders[name], folder) for name in done}
    long = max(run.seconds for run in done.values()) > LONG
    seconds = in_turns(running, min(rounds, FEWER) if long else rounds, warm=long)
    floor = influence_floor(folder, rounds) if method == "influence" else {}
    rows = []
    for name, run in runs.items():
        took, ours = seconds.get(name), name == "ours"
        rows.append({
            "method": case.title, "samples": n, "contender": name,
            "seconds": statistics.median(took) if took else math.nan,
            "times_ours": ratio(took, seconds["ours"]) if took else math.nan,
            "peak_gib": run.peak,
            "difference_to_ours": math.nan if ours else errors.get(name, math.nan),
            "rounds": len(took) if took else 0, "why_not": run.why_not,
            **{key: floor.get(key, math.nan) if ours else math.nan for key in (
                "cold_seconds", "floor", "floor_seconds", "share_of_floor")},
        })  # fmt: skip
    return rows


def main(argv: list[str] | None = None) -> None:
    """Write selection_mathematics.csv, and draw it after each pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--alone", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    with threadpool_limits(1):
        if arguments.alone:
            run_alone(*arguments.alone)
            return
        rows = []
        for method in arguments.only:
            given_up: dict[str, str] = {}
            for n in sorted(arguments.sizes):
                with tempfile.TemporaryDirectory() as folder:
                    rows += compare(method, n, Path(folder), arguments.rounds, given_up)
                write_table(arguments.out / "selection_mathematics.csv", rows)
                plot_selection.main([str(arguments.out)])


if __name__ == "__main__":
    main()
