"""EL2N: samples by the norm of the model's error on their response tokens.

References
----------
.. [1] Paul, Ganguli and Dziugaite, Deep Learning on a Data Diet, arXiv:2107.07075, Definition 2
   (there the mean over several trainings; here the mean over response tokens of one model).
"""

import numpy as np
import pandas as pd

from vlselect.methods.maths.rankings import keep_part, likelihood_column, require
from vlselect.subsets.budget import Selection


def score(pool: pd.DataFrame, signals: dict, seed: int) -> np.ndarray:
    """Mean over response tokens of the L2 norm of softmax - onehot.

    Parameters
    ----------
    pool : DataFrame
        One row per sample, in row order.
    signals : dict
        ``likelihood``: ShardedArray with a column el2n.
    seed : int
        Not used: nothing is drawn.

    Returns
    -------
    float32 array, shape (N,)
        In [0, sqrt(2)]; higher is harder.

    Raises
    ------
    ValueError
        If the signal is missing, does not fit the pool or is not finite.
    """
    return likelihood_column(require(signals, "likelihood", "el2n"), "el2n", len(pool))


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, keep: str) -> Selection:
    """Keep the highest, the middle or the lowest scores.

    Parameters
    ----------
    pool : DataFrame
        Column sample_id; in row order.
    signals : dict
        ``scores``: DataFrame row, score, as `score` makes them.
    budget : int
    seed : int
        Not used: nothing is drawn.
    keep : {"top", "middle", "bottom"}
        See `scoring.keep_part`.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        If scores are missing or NaN, or `keep` is unknown.
    """
    scores = require(signals, "scores", "el2n")["score"].to_numpy()
    return keep_part(scores, budget, pool["sample_id"].to_numpy(object), keep)
