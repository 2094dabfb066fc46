"""D2 pruning: difficulty and diversity by messages on a graph of nearest neighbours.

The margin is the probability of the true token minus that of the best other one, so a high margin
means an *easy* sample (the area under the margin of AUM, for one model). D2 pruning takes difficult
samples first. The program behind COINCIDE's table uses the margin itself as the score, and another
loop, which after the forward messages comes close to taking the highest scores. `variant` chooses
the score and the loop:

==========  ====================  =========================================================
variant     a sample's own score  picks
==========  ====================  =========================================================
paper       (1 - margin) / 2      the highest each time: [1]_ and its authors' program for
                                  images (GraphDensitySampler, sum, weighted)
released    margin                the same; a mix of the two programs
coincide    margin                as in COINCIDE's program, see `message_passing.walk`
==========  ====================  =========================================================

References
----------
.. [1] Maharana, Yadav and Bansal, D2 Pruning: Message Passing for Balancing Diversity and
   Difficulty in Data Pruning, arXiv:2310.07931, section 3.
.. [2] Lee, Li and Hwang, COINCIDE, arXiv:2406.10995, for the setting of the baseline.
"""

import logging

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.ordering import id_ranks
from vlselect.core.selection import Selection
from vlselect.methods.maths.message_passing import forward, reverse, walk
from vlselect.methods.maths.rankings import likelihood_column, require

logger = logging.getLogger(__name__)

VARIANTS = ("released", "coincide", "paper")
LEAST = 1e-7  # lower bound of margins used as scores
FAINT = 1e-3  # messages below this weight change almost nothing


def score(
    pool: pd.DataFrame,
    signals: dict,
    seed: int,
    *,
    variant: str,
    gamma_forward: float,
) -> np.ndarray:
    """Add to each sample's own score those of its neighbours, weighted by closeness.

    Parameters
    ----------
    signals : dict
        ``likelihood``: ShardedArray with a column margin; ``neighbours``: DataFrame row,
        neighbour_1 … k (rows), squared_1 … k.
    variant : {"released", "coincide", "paper"}
        Own score, `paper`: (1 - margin) / 2, high for difficult samples; else the margin, at least
        1e-7, high for easy ones.
    gamma_forward : float
        A message is weighted by exp(-gamma d^2).

    Returns
    -------
    float32 array, shape (N,)
        At least 0; no score depends on the order of the pool.
    """
    _require_variant(variant)
    likelihood = require(signals, "likelihood", "d2_pruning")
    margin = likelihood_column(likelihood, "margin", len(pool)).astype(np.float64)
    neighbours, squared = _graph(signals, len(pool))
    own = (1 - margin) / 2 if variant == "paper" else np.maximum(margin, LEAST)
    weight = float(np.median(np.exp(-gamma_forward * squared)))
    logger.info("variant %s; half of the messages weigh more than %.3g", variant, weight)
    if weight < FAINT:
        logger.warning(
            "neighbours are so far apart that messages have almost no effect: the order is that "
            "of the margins; normalise the features or lower the gammas"
        )
    return forward(own, neighbours, squared, gamma_forward).astype(np.float32)


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    variant: str,
    gamma_reverse: float,
) -> Selection:
    """Take the highest score repeatedly, lowering its neighbours' scores, or walk down the scores.

    Parameters
    ----------
    signals : dict
        ``scores`` and ``neighbours``.
    variant : {"released", "coincide", "paper"}
        `coincide`: see `message_passing.walk`; else the highest each time.
    gamma_reverse : float
        exp(-gamma d^2) times the score of the taken sample is subtracted from its neighbours'
        scores.

    Returns
    -------
    Selection
        In the order of taking, ties by sample id; scores at that time.
    """
    _require_variant(variant)
    scores = require(signals, "scores", "d2_pruning")["score"].to_numpy(np.float64)
    if np.isnan(scores).any():
        raise InputError(f"the score of row {int(np.argmax(np.isnan(scores)))} is NaN")
    neighbours, squared = _graph(signals, len(pool))
    ranks = id_ranks(pool["sample_id"].to_numpy(object))
    if budget > len(pool):
        raise ValueError(f"a budget of {budget} does not fit a pool of {len(pool)} samples")
    take = walk if variant == "coincide" else reverse
    return Selection(*take(scores, neighbours, squared, gamma_reverse, budget, ranks))


def _require_variant(variant: str) -> None:
    if variant not in VARIANTS:
        raise InputError(f"variant {variant!r} is not one of {VARIANTS}")


def _graph(signals: dict, n_pool: int) -> tuple[np.ndarray, np.ndarray]:
    """Return neighbours (N, k) and squared distances (N, k); check that they fit the pool."""
    table = require(signals, "neighbours", "d2_pruning")
    neighbours = table.filter(regex=r"^neighbour_\d+$").to_numpy(np.int64)
    squared = table.filter(regex=r"^squared_\d+$").to_numpy(np.float64)
    if neighbours.shape != squared.shape or len(neighbours) != n_pool or not neighbours.size:
        raise InputError(
            f"neighbours {neighbours.shape} and distances {squared.shape} for {n_pool} samples"
        )
    if neighbours.min() < 0 or neighbours.max() >= n_pool or not (squared >= 0).all():
        raise InputError("neighbours are not rows of the pool, or distances are below zero or NaN")
    return neighbours, squared
