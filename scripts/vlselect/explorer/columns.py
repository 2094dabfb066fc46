"""Columns of the explorer: lists with an entry for each shown sample."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.core.ordering import draw
from vlselect.pool.records import Record
from vlselect.pool.samples import Samples

LONGEST = 1 << 14  # characters that are shown of a text
TEXTS = 40_000_000  # characters of a page; of more, longer texts are cut earlier


def shown_rows(samples: Samples, limit: int) -> np.ndarray:
    """Return the rows to show: all, or `limit` drawn by a hash of their ids; int64, ascending."""
    if len(samples) <= limit:
        return np.arange(len(samples))
    ids = samples.frame(["sample_id"])["sample_id"].to_numpy(object)
    return np.sort(draw(ids, limit, 0, "explorer"))


def collect(
    records: Sequence[Record],
    rows: np.ndarray,
    *,
    n_pool: int,
    subsets: Mapping[str, pd.DataFrame],
    scores: Mapping[str, pd.DataFrame],
    votes: pd.DataFrame | None = None,
    clusters: pd.DataFrame | None = None,
) -> dict:
    """Collect the columns of some rows.

    Parameters
    ----------
    records : sequence of Record
        Those to show.
    rows : int64 array, shape (n,)
        Their rows.
    n_pool : int
        Samples of the pool.
    subsets : mapping of name to DataFrame
        Columns row, rank, score of each subset.
    scores : mapping of method to DataFrame
        Columns row, score, of the whole pool.
    votes : DataFrame, optional
        Columns row, one for each task (0 or 1), votes, mean_rank, of the whole pool.
    clusters : DataFrame, optional
        Columns row, cluster, of the whole pool.

    Returns
    -------
    dict
        n_pool; row, id, source, turns, images (indices into `image_names`) with an entry for each
        sample; image_names; subsets: name → {rank, score}, rank null where not chosen; scores:
        method → values; votes: {tasks, of, total}; cluster.
    """
    names: dict[str, int] = {}
    longest = longest_shown([len(turn.text) for record in records for turn in record.turns])
    pictures = [[names.setdefault(name, len(names)) for name in r.images] for r in records]
    return {
        "n_pool": n_pool,
        "row": rows.tolist(),
        "id": [record.sample_id for record in records],
        "source": [record.source for record in records],
        "turns": [
            [[turn.role, cut(turn.text, longest)] for turn in record.turns] for record in records
        ],
        "images": pictures,
        "image_names": list(names),
        "subsets": {name: _choice(table, rows) for name, table in subsets.items()},
        "scores": {m: _numbers(t["score"].to_numpy()[rows]) for m, t in scores.items()},
        "votes": None if votes is None else _votes(votes, rows),
        "cluster": None if clusters is None else clusters["cluster"].to_numpy()[rows].tolist(),
    }


def longest_shown(lengths: Sequence[int], total: int = TEXTS) -> int:
    """Return how many characters of each text are shown, so that the page stays within `total`."""
    lengths, longest = np.asarray(lengths), LONGEST
    while longest > 1 and np.minimum(lengths, longest).sum() > total:
        longest //= 2
    return longest


def cut(text: str, longest: int) -> str:
    """Return the beginning of a text, and what is not shown of it."""
    missing = len(text) - longest
    return text if missing <= 0 else f"{text[:longest]}… ({missing:,} characters more)"


def _choice(table: pd.DataFrame, rows: np.ndarray) -> dict[str, list]:
    """Return rank and score of the chosen rows; null for the others."""
    of = table.set_index("row").reindex(rows)
    return {"rank": _numbers(of["rank"]), "score": _numbers(of["score"]), "chosen": len(table)}


def _votes(votes: pd.DataFrame, rows: np.ndarray) -> dict:
    tasks = [column for column in votes if column not in ("row", "votes", "mean_rank")]
    shown = votes.iloc[rows]
    return {
        "tasks": tasks,
        "of": shown[tasks].astype(int).to_numpy().tolist(),
        "total": shown["votes"].astype(int).tolist(),
    }


def _numbers(values: Sequence[float]) -> list[float | int | None]:
    """Convert to numbers for JSON: whole ones as integers, six digits, null for NaN."""
    return [_number(float(value)) for value in values]


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else float(f"{value:.6g}")
