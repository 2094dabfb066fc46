"""DICS: samples whose image, question and answer all depend on each other, spread out.

References
----------
.. [1] Hong et al., DICS, arXiv:2608.30209.
"""

import logging

import numpy as np
import pandas as pd

from vlselect.clusters.embeddings import Embeddings
from vlselect.core.errors import InputError
from vlselect.core.ordering import top
from vlselect.core.selection import Selection
from vlselect.methods.maths.farthest import farthest_points
from vlselect.methods.maths.rankings import named_column, require
from vlselect.methods.maths.strata import best_of_strata
from vlselect.methods.maths.text_only import with_text_only

logger = logging.getLogger(__name__)

SAMPLERS = ("fps", "clusters")


def score(pool: pd.DataFrame, signals: dict, seed: int) -> np.ndarray:
    """Compute the logarithm of min(VIC, RIC), how far image and instruction are needed.

    Parameters
    ----------
    signals : dict
        ``instruction_gains``: ShardedArray with the columns visual and instruction, logarithms.

    Returns
    -------
    float32 array, shape (N,)
        In nats; 0, for a ratio of 1, without an image.
    """
    gains = require(signals, "instruction_gains", "dics")
    visual, instruction = (
        named_column(gains, name, len(pool), "instruction_gains")
        for name in ("visual", "instruction")
    )
    return np.minimum(visual, instruction)


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    sampler: str,
    memory_gb: float,
    text_only: str,
) -> Selection:
    """Choose spread samples among those with the highest scores.

    Of N samples and a budget of n: below half of them, n of the 2n best are sampled; at half, the n
    best are chosen; above, the 2n - N best, and the others are sampled from the rest.

    Parameters
    ----------
    signals : dict
        ``scores``; ``last_token``: ShardedArray (N, d), or ``clusters``: DataFrame row, cluster.
    sampler : {"fps", "clusters"}
        Farthest points by the Euclidean distance of last_token, or from every cluster its
        proportional share of highest scores.
    memory_gb : float
        Most gigabytes (10^9 bytes) for the points that are sampled, at four bytes a value.
    text_only : {"ranked", "proportional", "drop"}
        See `text_only.with_text_only`; `ranked`, by a ratio of 1, as in the paper.
    """
    if sampler not in SAMPLERS:
        raise InputError(f"sampler {sampler!r} is not one of {SAMPLERS}")
    scores = require(signals, "scores", "dics")["score"].to_numpy()
    ids = pool["sample_id"].to_numpy(object)

    def sample(rows: np.ndarray, count: int) -> np.ndarray:
        if sampler == "clusters":
            cluster = require(signals, "clusters", "dics")["cluster"].to_numpy()
            return rows[best_of_strata(scores[rows], cluster[rows], count, ids[rows])]
        return spread_out(require(signals, "last_token", "dics"), ids, rows, count, memory_gb)

    def choose(rows: np.ndarray, count: int) -> np.ndarray:
        kept, candidates = split(len(rows), count)
        ranked = rows[top(scores[rows], kept + candidates, ids[rows])]
        if kept == count:
            return ranked
        sampled = sample(np.sort(ranked[kept:]), count - kept)
        return np.concatenate([ranked[:kept], sampled])

    return with_text_only(
        scores,
        pool["n_images"].to_numpy() > 0,
        budget,
        seed,
        text_only,
        sample_ids=ids,
        method="dics",
        choose=choose,
    )


def split(n: int, count: int) -> tuple[int, int]:
    """Return how many of n samples are kept for their scores, and how many are candidates."""
    if 2 * count < n:
        return 0, 2 * count
    if 2 * count == n:
        return count, 0
    return 2 * count - n, n - (2 * count - n)


def spread_out(
    features, sample_ids: np.ndarray, rows: np.ndarray, count: int, memory_gb: float
) -> np.ndarray:
    """Choose rows by farthest-point sampling over their features (N, d); ties by sample id.

    Raises InputError if the features of all rows do not fit into the memory.
    """
    need = 4 * len(rows) * features.shape[1] / 1e9
    if need > memory_gb:
        raise InputError(
            f"{len(rows)} samples of width {features.shape[1]} take {need:.1f} GB: raise memory_gb "
            "above that, or choose the sampler `clusters`"
        )
    embeddings = Embeddings(features, sample_ids, normalise=False)
    places = np.sort(embeddings.places[rows])
    logger.info("%d farthest of %d points of width %d", count, len(rows), features.shape[1])
    return embeddings.rows[places[farthest_points(embeddings[places], count)]]
