"""EL2N: samples by the norm of the model's error on their response tokens.

References
----------
.. [1] Paul, Ganguli and Dziugaite, Deep Learning on a Data Diet, arXiv:2107.07075, Definition 2
   (the mean over several trained models there, over the response tokens of one model here).
"""

import numpy as np
import pandas as pd

from vlselect.core.selection import Selection
from vlselect.methods.maths.rankings import keep_part, likelihood_column, require


def score(pool: pd.DataFrame, signals: dict, seed: int) -> np.ndarray:
    """Return the mean over response tokens of the L2 norm of softmax - onehot.

    It is computed in the forward pass (`features.likelihood`).

    Parameters
    ----------
    signals : dict
        ``likelihood``: ShardedArray with a column el2n.

    Returns
    -------
    float32 array, shape (N,)
        In [0, sqrt(2)]; higher is harder.
    """
    return likelihood_column(require(signals, "likelihood", "el2n"), "el2n", len(pool))


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, keep: str) -> Selection:
    """Keep the highest, middle or lowest scores: `keep` as in `rankings.keep_part`."""
    scores = require(signals, "scores", "el2n")["score"].to_numpy()
    return keep_part(scores, budget, pool["sample_id"].to_numpy(object), keep)
