"""D2 pruning: difficulty and diversity at once, by messages on a graph of nearest neighbours.

The margin is that of the true token over the best other one, so a high margin is an *easy* sample
(the area under the margin of AUM, for one model). D2 pruning is meant to take difficult samples
first; the program behind COINCIDE's table takes the margin as the score all the same, and another
loop than D2 pruning's, which nearly amounts to the plain top of the scores after the forward
messages. `variant` chooses the score and the loop:

==========  ====================  =========================================================
variant     a sample's own score  picks
==========  ====================  =========================================================
paper       (1 - margin) / 2      the highest each time: [1]_ and its authors' program for
                                  images (GraphDensitySampler, sum, weighted)
released    margin                the same; nobody's program as a whole
coincide    margin                as in COINCIDE's program, see `messages.walk`
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
LEAST = 1e-7  # margins below it count as this much, where they are the score
FAINT = 1e-3  # messages of less than this weight change nothing


def score(
    pool: pd.DataFrame,
    signals: dict,
    seed: int,
    *,
    variant: str,
    gamma_forward: float,
) -> np.ndarray:
    """Score of each sample and, by closeness, of its neighbours.

    Parameters
    ----------
    pool : DataFrame
        Column sample_id; in row order. The order does not change any sample's score.
    signals : dict
        ``likelihood``: ShardedArray with a column margin; ``neighbours``: DataFrame row,
        neighbour_1 … k (rows), squared_1 … k.
    seed : int
        Not used: nothing is drawn.
    variant : {"released", "coincide", "paper"}
        A sample's own score: `paper`: (1 - margin) / 2 (difficult samples high); else the margin,
        at least 1e-7 (easy samples high, as in COINCIDE's program).
    gamma_forward : float
        A message is weighted by exp(-gamma d^2).

    Returns
    -------
    float32 array, shape (N,)
        At least 0.

    Raises
    ------
    ValueError
        If a signal is missing, does not fit the pool or is not finite, or the variant is unknown.
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
            "neighbours are so far apart that messages do next to nothing: the order is that of "
            "the margins; normalise the features or lower the gammas"
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
    """Take the highest score again and again, lowering those of its neighbours; or walk down them.

    Parameters
    ----------
    pool : DataFrame
        Column sample_id; in row order.
    signals : dict
        ``scores``: DataFrame row, score, as `score` makes them; ``neighbours`` as there.
    budget : int
    seed : int
        Not used: nothing is drawn.
    variant : {"released", "coincide", "paper"}
        `coincide`: as `messages.walk`; else the highest each time.
    gamma_reverse : float
        exp(-gamma d^2) times the score of the sample taken is subtracted from its neighbours'.

    Returns
    -------
    Selection
        In the order in which samples were taken, ties by sample id; their scores at that time.

    Raises
    ------
    ValueError
        If a signal is missing or does not fit the pool, a score is NaN, or the variant is unknown.
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
    """Neighbours (N, k) and squared distances (N, k), if they fit the pool."""
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
