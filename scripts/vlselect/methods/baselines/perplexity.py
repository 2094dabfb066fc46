"""Perplexity: samples that the model finds neither too easy nor too unusual.

References
----------
.. [1] Marion et al., When Less is More: Investigating Data Pruning for Pretraining LLMs at Scale,
   arXiv:2309.04564, section 3 (perplexity; its middle does best).
"""

import logging

import numpy as np
import pandas as pd

from vlselect.core.selection import Selection
from vlselect.methods.maths.rankings import keep_part, likelihood_column, require

logger = logging.getLogger(__name__)

LARGEST = np.log(np.finfo(np.float32).max)  # nats; its exponential is the last finite float32


def score(pool: pd.DataFrame, signals: dict, seed: int) -> np.ndarray:
    """Compute the exponential of the mean negative log-likelihood of the response tokens.

    Parameters
    ----------
    signals : dict
        ``likelihood``: ShardedArray with a column nll, in nats.

    Returns
    -------
    float32 array, shape (N,)
        At least 1; at most the largest float32 (from 88.7 nats a token on), with a logged warning.
    """
    nll = likelihood_column(require(signals, "likelihood", "perplexity"), "nll", len(pool))
    beyond = int((nll > LARGEST).sum())
    if beyond:
        logger.warning("%d perplexities are too large for float32 and are cut off", beyond)
    limit = np.finfo(np.float32).max
    return np.exp(np.minimum(nll, LARGEST).astype(np.float64)).clip(max=limit).astype(np.float32)


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, keep: str) -> Selection:
    """Keep the highest, middle or lowest perplexities: `keep` as in `rankings.keep_part`."""
    scores = require(signals, "scores", "perplexity")["score"].to_numpy()
    return keep_part(scores, budget, pool["sample_id"].to_numpy(object), keep)
