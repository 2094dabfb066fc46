"""Measure every stage whose cost grows with the pool, at the given size, its half and its quarter.

Writes synthetic stores in --work, runs each stage's own script as a process of its own with the
files dropped from the system's cache, and removes the stores. The table has for each stage the
time, CPU time, peak memory and the share of the floor: the least time for reading the input once,
or for the matrix products that cannot be avoided, measured just before and just after.
`share_of_cpu` compares the products (or the parsing) with the CPU time of the whole process, which
other work on the machine hardly changes. `exponent` is that of rows in time over the sizes,
`cpu_exponent` that in CPU time: 1 is linear.
"""

import argparse
import csv
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import measure
from floors import SIDE
from layout import SAMPLES_PER_CLUSTER, TENTH, rounded
from stages import SCRIPTS, STAGES, Size, Stage, command

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results/performance/size.csv"
COLUMNS = (
    *("stage", "rows", "part", "seconds", "process_seconds", "cpu_seconds", "peak_rss_gib"),
    *("peak_anonymous_gib", "floor_seconds", "floor", "share_of_floor", "disk_mb_per_s"),
    *("work_g_per_s", "share_of_cpu", "exponent", "cpu_exponent"),
)
ENVIRONMENT = {"PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=665_000, help="samples, rounded up to 256")
    parser.add_argument("--work", type=Path, required=True, help="folder for up to 25 GB")
    about = "some read what others write, pool above all; --keep leaves that for the next call"
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help=about)
    parser.add_argument("--divisors", nargs="+", type=int, choices=(1, 2, 4), default=[4, 2, 1])
    parser.add_argument("--side", type=int, default=SIDE, help="of the floors' matrices")
    parser.add_argument("--keep", action="store_true", help="keep the stores")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV, with figures beside it")
    return parser


def sizes(work: Path, n: int) -> dict[int, Size]:
    """Return the sizes of the pool, its half and its quarter."""
    whole, active = rounded(n), rounded(rounded(n) // 10)
    clusters = min(round(whole / SAMPLES_PER_CLUSTER), active // 4)
    return {d: Size(work, d, whole // d, active // d, clusters) for d in (1, 2, 4)}


def python(*arguments: object) -> str:
    """Run a Python file in a process of its own; return what it prints."""
    words = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def write_stores(whole: Size, stages: list[str]) -> None:
    """Write the files that the stages need and that are missing."""
    needs = {"gradients": {"influence"}, "attended": {"leverage"}, "activations": {*TENTH}}
    needs |= {"hidden": {"near-duplicates"}}
    made = {"records": whole.work / "records-4.json"}
    made |= {kind: whole.work / kind for kind in needs}
    for kind, path in made.items():
        if path.exists() or not (needs.get(kind, set(stages)) & set(stages)):
            continue
        print(f"writing {kind}", file=sys.stderr)
        rows = whole.active if kind == "activations" else whole.rows
        python(HERE / "synthetic_stores.py", kind, whole.work, rows)


def cut_active(size: Size) -> None:
    """Write the samples that have activations: a prefix of the pool's."""
    code = (
        "import sys; from pyarrow import parquet; source, target, n = sys.argv[1:]; "
        "parquet.write_table(parquet.read_table(source).slice(0, int(n)), target, "
        "row_group_size=1024, compression='zstd')"
    )
    python("-c", code, size.out / "samples.parquet", size.out / "active.parquet", size.active)


def floors(stage: Stage, size: Size, side: int) -> dict[str, float]:
    """Measure this machine's best rates for the kinds of work in a stage."""
    (kind,) = {kind for _, kind, _ in stage.parts.values()}
    largest = max(stage.reads(size), key=os.path.getsize)
    return json.loads(python(HERE / "floors.py", kind, largest, side))


def measured(name: str, size: Size, side: int) -> list[dict]:
    """Run one stage at one size; return a row of the table for each of its parts."""
    stage = STAGES[name]
    reads = stage.reads(size)
    before = floors(stage, size, side)
    measure.forget(reads)
    cost = measure.run(command(stage, size), ENVIRONMENT)
    after = floors(stage, size, side)
    rates = {kind: (before[kind] + after[kind]) / 2 for kind in before}
    rows = []
    for part, (label, kind, work) in stage.parts.items():
        seconds = cost.parts[label] if label else cost.seconds
        reading = sum(path.stat().st_size for path in reads) / rates["disk"]
        least = {"disk": reading, kind: work(size) / rates[kind]}
        floor = max(least, key=least.get)
        rows.append({
            "stage": name, "rows": stage.rows(size), "part": part, "seconds": seconds,
            "process_seconds": cost.seconds, "cpu_seconds": cost.cpu_seconds,
            "peak_rss_gib": cost.peak_rss / 2**30,
            "peak_anonymous_gib": cost.peak_anonymous / 2**30,
            "floor_seconds": least[floor], "floor": floor,
            "share_of_floor": least[floor] / max(seconds, 0.05),
            "disk_mb_per_s": rates["disk"] / 1e6, "work_g_per_s": rates[kind] / 1e9,
            "share_of_cpu": least[kind] / cost.cpu_seconds,
        })  # fmt: skip
    return rows


def exponent(rows: list[dict], key: str) -> float:
    """Return the least-squares slope of log time over log rows; NaN for fewer than two sizes."""
    points = [(math.log(float(r["rows"])), math.log(max(float(r[key]), 0.05))) for r in rows]
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((a - x) ** 2 for a, _ in points)
    return sum((a - x) * (b - y) for a, b in points) / spread if spread else math.nan


def write_table(path: Path, new: list[dict]) -> None:
    """Write rows into the table, replacing those of the same part and size."""
    rows = {}
    if path.exists():
        with path.open(newline="") as file:
            rows = {(row["part"], int(row["rows"])): row for row in csv.DictReader(file)}
    rows |= {(row["part"], row["rows"]): row for row in new}
    parts = [part for stage in STAGES.values() for part in stage.parts]
    table = [rows[key] for key in sorted(rows, key=lambda key: (parts.index(key[0]), key[1]))]
    for row in table:
        alike = [r for r in table if r["part"] == row["part"]]
        row["exponent"] = exponent(alike, "seconds")
        row["cpu_exponent"] = exponent(alike, "cpu_seconds")
        for key in COLUMNS[3:]:
            text = row[key] if row[key] in ("disk", "float32", "float64", "json") else None
            row[key] = text or f"{float(row[key]):.4g}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def main(argv: list[str] | None = None) -> None:
    """Write stores, measure, write table and figure, and clean up."""
    arguments = build_parser().parse_args(argv)
    work = arguments.work / "size-stores"  # a folder of our own, as it is removed
    work.mkdir(parents=True, exist_ok=True)
    pools = sizes(work, arguments.n)
    try:
        write_stores(pools[1], arguments.stages)
        for name in arguments.stages:
            for divisor in arguments.divisors:
                if divisor not in STAGES[name].divisors:
                    continue
                size = pools[divisor]
                size.out.mkdir(exist_ok=True)
                if name.startswith("greedy") and not (size.out / "active.parquet").exists():
                    cut_active(size)
                rows = measured(name, size, arguments.side)
                write_table(arguments.out, rows)
                for row in rows:
                    print(" ".join(f"{key}={row[key]}" for key in COLUMNS if key in row))
        python(HERE / "plot_size.py", arguments.out)
    finally:
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
