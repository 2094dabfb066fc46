"""Budgets in tokens: a search for the number of samples that fits."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.errors import InfeasibleError, InputError
from vlselect.core.store import read_parquet
from vlselect.subsets.constraints import Chosen

logger = logging.getLogger(__name__)


def read_tokens(paths: list[Path], n_pool: int) -> np.ndarray:
    """Read the tokens of each sample, int64 (n_pool,), from the tables of all shards."""
    if not paths:
        raise InputError("a budget in tokens needs the tables of the pool's tokens")
    table = pd.concat([read_parquet(path) for path in paths]).sort_values("row")
    if not np.array_equal(table["row"].to_numpy(), np.arange(n_pool)):
        raise InputError(
            f"{paths[0]} and the other tables do not hold the tokens of {n_pool} samples"
        )
    return table["tokens"].to_numpy(np.int64)


def fill(choose: Callable[[int], Chosen], tokens: np.ndarray, limit: int, least: int = 1) -> Chosen:
    """Choose a number of samples that fits the limit although one more sample would not.

    If a method's smaller choices are the beginnings of its larger ones, this is the longest
    beginning that fits. Otherwise (an allocation to clusters is rounded for each number separately)
    several numbers may qualify. Which one is found depends on the search alone: it halves or
    interpolates between a number that fits and one that does not.

    Parameters
    ----------
    choose : callable
        From n to the choice of n samples; if it raises `InfeasibleError`, n does not fit.
    tokens : int64 array, shape (N,)
        Tokens of each sample.
    limit : int
        Most tokens of all chosen samples together.
    least : int
        Smallest number of samples to choose.

    Raises
    ------
    ValueError
        If the choice of `least` samples has too many tokens, or the whole pool has fewer.
    InfeasibleError
        If there is no choice of `least` samples.
    """
    if limit > tokens.sum():
        raise InputError(f"budget tokens-{limit} does not fit a pool of {tokens.sum()} tokens")
    low, best = least, choose(least)
    used = int(tokens[best.rows].sum())
    if used > limit:
        raise InputError(
            f"budget tokens-{limit}: the smallest choice, {low} samples, has {used} tokens"
        )
    cheapest = np.cumsum(np.sort(tokens))  # no n samples have fewer than cheapest[n - 1]
    high, beyond, step = int(np.searchsorted(cheapest, limit, side="right")) + 1, None, 0
    while high - low > 1:
        step += 1
        slope = used / low if beyond is None else (beyond - used) / (high - low)
        guess = low + int((limit - used) / slope) if slope > 0 and step % 3 else (low + high) // 2
        guess = min(max(guess, low + 1), high - 1)
        try:
            choice = choose(guess)
        except InfeasibleError:
            high, beyond = guess, None
            continue
        total = int(tokens[choice.rows].sum())
        if total <= limit:
            low, best, used = guess, choice, total
        else:
            high, beyond = guess, total
    logger.info(
        "%d samples with %d of %d tokens (%.4f %%), found in %d steps",
        *(low, used, limit, 100 * used / limit, step),
    )
    return best
