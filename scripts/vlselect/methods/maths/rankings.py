"""Shared by the methods that score samples: columns of signals, parts of a ranking."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from vlselect.core.errors import InputError
from vlselect.core.ordering import top
from vlselect.core.selection import Selection
from vlselect.core.store import ShardedArray

KEEP = ("top", "middle", "bottom")


def require(signals: dict, name: str, method: str):
    """Return a signal; if it is missing, ValueError names the method."""
    if name not in signals:
        raise InputError(f"{method} needs the signal {name!r}")
    return signals[name]


def likelihood_column(likelihood: ShardedArray, name: str, n_pool: int) -> np.ndarray:
    """Read a column of the likelihood signals (nll, el2n or margin); see `named_column`."""
    return named_column(likelihood, name, n_pool, "likelihood")


def named_column(array: ShardedArray, name: str, n_pool: int, signal: str) -> np.ndarray:
    """Read a column of a signal: float32 (N,).

    The column is found by its name in the shards' header ``columns``, a JSON list. InputError,
    which names the signal, if it is missing, the rows do not fit the pool, or a value is not
    finite.
    """
    columns = json.loads(array.only("columns"))
    if name not in columns:
        raise InputError(f"{signal} has the columns {columns}, but no {name!r}")
    if array.shape != (n_pool, len(columns)):
        raise InputError(f"{signal} of shape {array.shape} for {n_pool} samples and {columns}")
    values = array[:][:, columns.index(name)]
    if not np.isfinite(values).all():
        raise InputError(f"{name} of row {int(np.argmin(np.isfinite(values)))} is not finite")
    return values


def keep_part(scores: ArrayLike, budget: int, sample_ids: Sequence[str], keep: str) -> Selection:
    """Keep the highest scores, the lowest, or those around the median.

    Parameters
    ----------
    scores : array, shape (N,)
    budget : int
        n, at most N.
    sample_ids : sequence of str, length N
        Of equal scores, the smaller id comes first in every part.
    keep : {"top", "middle", "bottom"}
        `middle` is the window of n places centred on the median of the ascending ranking, or half a
        place lower if it cannot be centred. It is part of every wider window.

    Returns
    -------
    Selection
        The best first: the highest, the lowest, or the nearest to the median (in places of the
        ranking; the lower of two), with the given scores.

    Raises
    ------
    ValueError
        If `keep` is unknown, a score is NaN, or the budget exceeds the pool.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if keep == "top":
        rows = top(scores, budget, sample_ids)
    elif keep == "bottom":
        rows = top(-scores, budget, sample_ids)
    elif keep == "middle":
        ascending = top(-scores, len(scores), sample_ids)
        places = np.arange(len(scores))
        top(scores, budget, sample_ids)  # checks the budget
        nearest = np.argsort(np.abs(2 * places - (len(scores) - 1)), kind="stable")
        rows = ascending[nearest[:budget]]
    else:
        raise InputError(f"keep {keep!r} is not one of {KEEP}")
    return Selection(rows, scores[rows])
