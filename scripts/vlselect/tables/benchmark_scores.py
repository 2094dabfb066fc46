"""Benchmark scores, read from the files of the benchmarks stage."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError, naming_file
from vlselect.tables.declarations import Run


def read_score(path: Path, run: Run, task: str) -> dict:
    """Read one row of ``benchmark_scores.csv`` from a benchmark's JSON file.

    Raises
    ------
    InputError
        If the file is not there or broken, belongs to another task, or has no finite score.
    """
    with naming_file(path):
        return _row(json.loads(path.read_text(encoding="utf-8")), path, run, task)


def _row(content: dict, path: Path, run: Run, task: str) -> dict:
    """Return the row of one file's content."""
    if content.get("task") != task:
        raise InputError(f"{path}: belongs to task {content.get('task')!r}, not {task!r}")
    score = content.get("score")
    if not isinstance(score, (int, float)) or not np.isfinite(score):
        raise InputError(f"{path}: score is {score!r}, not a finite number")
    return {
        "model": run.model,
        "method": run.method,
        "ratio": run.ratio,
        "seed": run.seed,
        "task": task,
        "metric": content["metric"],
        "score": float(score),
        "n": int(content["n"]),
    }


def benchmark_scores(
    folder: Path,
    runs: Iterable[str],
    tasks: Iterable[str],
    shares: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read ``benchmark_scores.csv`` from ``<folder>/<run>/<task>.json``, in the given order.

    Runs and shares are those of `Run.parse`.
    """
    tasks = list(tasks)
    rows = [
        read_score(folder / name / f"{task}.json", Run.parse(name, shares), task)
        for name in runs
        for task in tasks
    ]
    return pd.DataFrame(rows)
