"""A method's inputs: the pool, and its signals from their files."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.refused import RowsOf, refused_in
from vlselect.core.store import ShardedArray, read_parquet
from vlselect.pool.samples import Samples

Signal = pd.DataFrame | ShardedArray | RowsOf | dict[str, pd.DataFrame | ShardedArray]

POOL_COLUMNS = ["row", "sample_id", "source", "n_images"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for a method, its pool, signals and parameters, and a seed."""
    parser.add_argument("--method", required=True, help="module of vlselect.methods")
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    repeatable = {"nargs": "+", "action": "append", "default": [], "metavar": ("NAME", "PATH")}
    about = "a signal and its Parquet file or all its shards; left out without a path"
    parser.add_argument("--signal", help=about, **repeatable)
    about = "a signal of several files: tables by their file names, arrays by their folders'"
    parser.add_argument("--tables", help=about, **repeatable)
    about = "a signal of tasks' samples: the n_images of each, by the names of their folders"
    parser.add_argument("--task-samples", help=about, **repeatable)
    parser.add_argument("--parameters", default="{}", help="the method's parameters, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    about = "threads of matrix products; fixed, because the last bits of sums depend on it"
    parser.add_argument("--threads", type=int, default=1, help=about)


def read_pool(samples: Samples) -> pd.DataFrame:
    """Read the columns of the pool that methods see: row, sample_id, source, n_images."""
    pool = samples.frame(columns=POOL_COLUMNS)
    _require_rows("samples", pool, len(pool))
    return pool


def read_signals(
    single: Iterable[Sequence[str]],
    several: Iterable[Sequence[str]],
    n_pool: int,
    task_samples: Iterable[Sequence[str]] = (),
) -> dict[str, Signal]:
    """Read a method's signals.

    Parameters
    ----------
    single : iterable of [name, path, ...]
        Signals of one Parquet file, or of the safetensors shards of one array.
    several : iterable of [name, path, ...]
        Signals of several Parquet files or arrays, such as one for each task; the arrays' rows are
        not the pool's.
    n_pool : int
        Samples in the pool. A column ``row`` of a table must be 0 to n_pool - 1 in order.
    task_samples : iterable of [name, path, ...]
        Signals of several files of tasks' samples, such as tasks/<task>/validation.parquet: a table
        n_images of each.

    Returns
    -------
    dict of name to DataFrame, ShardedArray, or dict of name to DataFrame or ShardedArray
        Without the signals that have no path, so that a rule can name optional ones.

    Raises
    ------
    ValueError
        If a name comes twice, formats are mixed, or a table or array does not fit the pool.
    """
    signals: dict[str, Signal] = {}
    for name, *paths in filter(_has_path, single):
        kinds = {Path(path).suffix for path in paths}
        if kinds == {".safetensors"}:
            array = ShardedArray(paths)
            if len(array) != n_pool:
                where = f"{array.paths[0].parent} holds {len(array)} rows"
                raise InputError(f"{where}, but the pool has {n_pool} samples")
            _add(signals, name, array)
        elif kinds == {".parquet"} and len(paths) == 1:
            _add(signals, name, _read_table(paths[0], n_pool))
        else:
            raise InputError(
                f"signal {name!r} must be one .parquet file or .safetensors shards, not {paths}"
            )
    for name, *paths in filter(_has_path, several):
        parts: dict[str, pd.DataFrame | ShardedArray] = {}
        for path in map(Path, paths):
            if path.suffix == ".safetensors":
                _add(parts, path.parent.name, ShardedArray([path]))
            else:
                _add(parts, path.stem, _read_table(path, n_pool))
        _add(signals, name, parts)
    for name, *paths in filter(_has_path, task_samples):
        parts = {}
        for path in map(Path, paths):
            _add(parts, path.parent.name, Samples(path).frame(columns=["n_images"]))
        _add(signals, name, parts)
    return signals


def read_gate(path: Path | None, n_pool: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the rows that are gated, and those that the gate's model refused: int64 ascending.

    Parameters
    ----------
    path : Path, optional
        Parquet table row, gated; without it there are none of either.
    n_pool : int
        As for `read_signals`.
    """
    if path is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    table = _read_table(path, n_pool)
    return np.flatnonzero(table["gated"]), refused_in([table])


def refused_rows(signals: dict[str, Signal]) -> np.ndarray:
    """Return the pool's rows, int64 ascending, that any signal names as refused by a model."""
    files = []
    for signal in signals.values():
        parts = signal.values() if isinstance(signal, dict) else [signal]
        files += [part for part in parts if part is signal or isinstance(part, pd.DataFrame)]
    return refused_in(files)


def restrict(
    pool: pd.DataFrame, signals: dict[str, Signal], rows: np.ndarray
) -> tuple[pd.DataFrame, dict[str, Signal]]:
    """Return pool and signals restricted to these rows, numbered from 0.

    Arrays and tables with a column ``row`` keep these rows. In a table that names other rows
    (``neighbour_j``, with ``squared_j``), those left out become the sample itself at distance 0. A
    table of clusters (``cluster`` and ``size``, no ``row``) beside assignments of rows to clusters
    gets new sizes, which may be 0. Other tables stay unchanged.

    Parameters
    ----------
    pool : DataFrame
        One row per sample, in row order.
    signals : dict
        From `read_signals`.
    rows : int64 array, shape (n,)
        Ascending.
    """
    place = np.full(len(pool), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    part = {name: _restrict(signal, rows, place) for name, signal in signals.items()}
    tables = {name: table for name, table in part.items() if isinstance(table, pd.DataFrame)}
    assigned = [t["cluster"] for t in tables.values() if {"row", "cluster"} <= set(t)]
    for name, table in tables.items():
        if "row" not in table and {"cluster", "size"} <= set(table) and assigned:
            clusters = table["cluster"].to_numpy()
            counts = np.bincount(assigned[0], minlength=clusters.max(initial=-1) + 1)
            part[name] = table.assign(size=counts[clusters])
    return _take(pool, rows, place), part


def _restrict(signal: Signal, rows: np.ndarray, place: np.ndarray) -> Signal:
    if isinstance(signal, dict):  # arrays of tasks have other rows
        tables = {name: part for name, part in signal.items() if isinstance(part, pd.DataFrame)}
        return signal | {name: _restrict(table, rows, place) for name, table in tables.items()}
    if isinstance(signal, pd.DataFrame):
        return _take(signal, rows, place) if "row" in signal else signal
    return RowsOf(signal, rows)


def _take(table: pd.DataFrame, rows: np.ndarray, place: np.ndarray) -> pd.DataFrame:
    """Keep these rows of a table, and renumber them and the rows that it names from 0."""
    part = table.iloc[rows].reset_index(drop=True)
    part["row"] = np.arange(len(part), dtype=np.int64)
    for column in part.filter(regex=r"^neighbour_\d+$"):
        found = place[part[column].to_numpy(np.int64)]
        part[column] = np.where(found < 0, part["row"], found)
        squared = column.replace("neighbour", "squared")
        part[squared] = np.where(found < 0, 0.0, part[squared])
    return part


def _has_path(given: Sequence[str]) -> bool:
    return len(given) > 1


def _add(signals: dict, name: str, signal: Signal) -> None:
    if name in signals:
        raise InputError(f"signal {name!r} is given twice")
    signals[name] = signal


def _read_table(path: str | Path, n_pool: int) -> pd.DataFrame:
    frame = read_parquet(path)
    _require_rows(str(path), frame, n_pool)
    return frame


def _require_rows(name: str, frame: pd.DataFrame, n_pool: int) -> None:
    """Raise ValueError if a table with a column row does not follow the pool row by row."""
    if "row" in frame and not np.array_equal(frame["row"].to_numpy(), np.arange(n_pool)):
        raise InputError(f"the rows of {name} are not those of the pool of {n_pool} samples")
