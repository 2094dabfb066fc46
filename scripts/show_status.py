"""Print the progress of a run: finished files of each stage, and the last lines of recent logs.

Reads `snakemake --summary` from standard input and the logs of the run; see `make status`.
"""

import argparse
import csv
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

STAGES = (  # folders and files of a run, left to right
    *("raw", "models", "pool", "tasks", "features", "gradients", "proxy", "influence", "votes"),
    *("clusters", "concepts", "neighbours", "duplicates.parquet", "scores", "subsets", "exports"),
    *("checkpoints", "benchmarks", "tables", "figures"),
)
RECENT = 300  # seconds
SHOWN = 10  # logs
STATES = ("finished", "outdated", "missing")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of the run, results/<run>")
    return parser


def count_files(summary: Iterable[Mapping[str, str]], results: Path) -> dict[str, Counter]:
    """Count the files of each stage by state, in the stages' order.

    `summary` has the rows of `snakemake --summary` with output_file, status (``ok``, ``missing`` or
    what has changed) and plan; stages are the parts of the run's folder `results`.
    """
    found: dict[str, Counter] = {}
    for row in summary:
        path = Path(row["output_file"])
        stage = path.relative_to(results).parts[0] if path.is_relative_to(results) else str(path)
        if row["status"] == "missing":
            state = "missing"
        else:
            state = "finished" if row["plan"] == "no update" else "outdated"
        found.setdefault(stage, Counter())[state] += 1
    order = {name: place for place, name in enumerate(STAGES)}
    return {name: found[name] for name in sorted(found, key=lambda n: (order.get(n, 99), n))}


def recent_logs(folder: Path, now: float) -> list[str]:
    """Return path and last line of the most recently written logs, the latest first."""
    logs = [(path.stat().st_mtime, path) for path in folder.rglob("*.log")]
    lines = []
    for written, path in sorted(logs, reverse=True):
        if now - written >= RECENT or len(lines) == SHOWN:
            break
        if text := path.read_text(encoding="utf-8", errors="replace").strip():
            last = text.splitlines()[-1]
            lines.append(f"{path.relative_to(folder)}, {now - written:.0f} s ago: {last[:120]}")
    return lines


def main(argv: list[str] | None = None) -> None:
    results = build_parser().parse_args(argv).results
    counts = count_files(csv.DictReader(sys.stdin, delimiter="\t"), results)
    if not counts:
        raise SystemExit("snakemake --summary listed no file; its output is above")
    print(f"{'stage':<20}{''.join(f'{state:>10}' for state in STATES)}")
    for stage, states in counts.items():
        print(f"{stage:<20}{''.join(f'{states[state]:>10}' for state in STATES)}")
    if any(states["finished"] < states.total() for states in counts.values()):
        for line in recent_logs(results / "logs", time.time()):
            print(line)


if __name__ == "__main__":
    main()
