"""MAGIC: samples that gain by their image and look at it, spread over what neurons they drive.

The paper leaves open how its signals are normalised and what the remaining places respect; what is
done here is said at `robust` and `share_out`.

References
----------
.. [1] Das Biswas and Roy, MAGIC, arXiv:2605.26004.
"""

import json
import logging
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.ordering import id_ranks, top
from vlselect.core.selection import Selection
from vlselect.methods.maths.rankings import named_column, require
from vlselect.methods.maths.text_only import with_text_only

logger = logging.getLogger(__name__)

LIMIT = 3.0  # of a normalised signal


def score(pool: pd.DataFrame, signals: dict, seed: int, *, balance: float) -> np.ndarray:
    """Compute the quality of every sample with an image from its normalised gain and bridging.

    Parameters
    ----------
    signals : dict
        ``gains``: ShardedArray with a column visual_gain; ``bridging``: ShardedArray (N, 1).
    balance : float
        Weight of the gain, in [0, 1]; that of bridging is 1 less it.

    Returns
    -------
    float32 array, shape (N,)
        NaN for samples without an image.
    """
    gain = named_column(require(signals, "gains", "magic"), "visual_gain", len(pool), "gains")
    looks = require(signals, "bridging", "magic")[:][:, 0]
    has_image = pool["n_images"].to_numpy() > 0
    quality = np.full(len(pool), np.nan)
    parts = (robust(values[has_image].astype(np.float64)) for values in (gain, looks))
    quality[has_image] = sum(w * p for w, p in zip((balance, 1 - balance), parts, strict=True))
    return quality.astype(np.float32)


def robust(values: np.ndarray) -> np.ndarray:
    """Normalise values (n,) to (x - median) / (p95 - p5), cut off at 3 on either side.

    Zeros where there is no spread. The paper's own "robust normalisation" is not described.
    """
    if not len(values):
        return values
    low, middle, high = np.percentile(values, [5, 50, 95])
    if high == low:
        return np.zeros(len(values))
    return np.clip((values - middle) / (high - low), -LIMIT, LIMIT)


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    keep: float,
    candidates: float,
    temperature: float,
    cap: float,
    neurons: Sequence[int],
    text_only: str,
) -> Selection:
    """Choose among the samples that gain by their image, from buckets of equal signatures.

    Parameters
    ----------
    signals : dict
        ``scores``: the quality; ``gains``; ``neurons``: ShardedArray (N, L * K), the strongest of
        each of the L layers in its header first.
    keep : float
        Share of the samples with an image that stay, those with the largest gains.
    candidates : float
        Of these, as many as this times the budget, the best by quality, form buckets.
    temperature : float
        Of the buckets' weights, sums of exp(quality / temperature).
    cap : float
        Largest share of the budget for one bucket.
    neurons : sequence of int
        How many of each layer's strongest neurons are a sample's signature; of a model with fewer
        layers the last of these numbers.
    text_only : {"proportional", "drop"}
        See `text_only.with_text_only`.
    """
    quality = require(signals, "scores", "magic")["score"].to_numpy(np.float64)
    gain = named_column(require(signals, "gains", "magic"), "visual_gain", len(pool), "gains")
    stored = require(signals, "neurons", "magic")
    layers = len(json.loads(stored.only("layers")))
    ids = pool["sample_id"].to_numpy(object)

    def choose(rows: np.ndarray, count: int) -> np.ndarray:
        kept = rows[top(gain[rows], math.ceil(Fraction(str(keep)) * len(rows)), ids[rows])]
        size = min(math.ceil(Fraction(str(candidates)) * count), len(kept))
        best = kept[top(quality[kept], size, ids[kept])]
        best = best[np.argsort(id_ranks(ids[best]))]
        own = signatures(stored[best], neurons, layers)
        chosen = best[share_out(quality[best], own, count, temperature, cap)]
        from_buckets = len(chosen)
        for source in (best, kept, rows):
            left = np.setdiff1d(source, chosen)
            missing = min(count - len(chosen), len(left))
            filled = left[top(quality[left], missing, ids[left])]
            chosen = np.concatenate([chosen, filled])
        logger.info(
            "%d candidates in %d buckets; %d of %d chosen (%.1f %%) by quality alone",
            *(len(best), len(set(own.tolist())), count - from_buckets, count),
            100 * (count - from_buckets) / max(1, count),
        )
        return chosen[top(quality[chosen], len(chosen), ids[chosen])]

    return with_text_only(
        quality,
        pool["n_images"].to_numpy() > 0,
        budget,
        seed,
        text_only,
        sample_ids=ids,
        method="magic",
        choose=choose,
    )


def signatures(stored: np.ndarray, neurons: Sequence[int], layers: int) -> np.ndarray:
    """Return the number of each sample's bucket, int64 (n,).

    `stored` (n, L * K) holds the K strongest neurons of each of L `layers`. Samples with the same
    sets of neurons, the last L of `neurons` of each layer in any order, share a bucket.
    """
    each = stored.shape[1] // layers
    if layers > len(neurons) or max(neurons) > each:
        raise InputError(
            f"methods.magic.neurons: {list(neurons)} do not fit {layers} layers of {each} neurons; "
            "each layer that is read needs a number, at most that"
        )
    neurons = neurons[-layers:]
    parts = [
        np.sort(stored[:, layer * each : layer * each + count], axis=1)
        for layer, count in enumerate(neurons)
    ]
    _, bucket = np.unique(np.concatenate(parts, axis=1), axis=0, return_inverse=True)
    return bucket.reshape(len(stored)).astype(np.int64)


def share_out(
    quality: np.ndarray, bucket: np.ndarray, count: int, temperature: float, cap: float
) -> np.ndarray:
    """Share places among buckets, and give each bucket's to its best samples.

    A bucket of weight m_j = sum of exp(q / temperature), p_j = m_j / sum of all, gets the least of
    its size, `cap` of the places and floor(places · p_j). What remains goes, one place each, to the
    buckets in the order of the fractional parts of places · p_j, where there are samples left; that
    the cap does not hold there is not in the paper, but fits its order of steps.

    Parameters
    ----------
    quality : float64 array, shape (n,)
        Ties: the earlier sample first, of fractional parts the bucket of the earlier sample.
    bucket : int array, shape (n,)
    count : int
        Places.
    temperature, cap : float

    Returns
    -------
    int64 array
        Places in `quality`; fewer than `count` where buckets are few or small.
    """
    if not len(quality):
        return np.empty(0, np.int64)
    _, first, bucket = np.unique(bucket, return_index=True, return_inverse=True)
    sizes = np.bincount(bucket)
    weights = np.bincount(bucket, np.exp((quality - quality.max()) / temperature))
    exact = count * (weights / weights.sum())
    whole = np.floor(exact)
    most = math.ceil(Fraction(str(cap)) * count)
    shares = np.minimum(np.minimum(sizes, most), whole.astype(np.int64))
    order = np.lexsort([first, -(exact - whole)])
    order = order[(shares < sizes)[order]]
    shares[order[: count - shares.sum()]] += 1
    ranked = np.lexsort([np.arange(len(quality)), -quality, bucket])
    starts = np.r_[0, np.cumsum(sizes)[:-1]]
    place = np.arange(len(quality)) - np.repeat(starts, sizes)  # inside the bucket
    return ranked[place < np.repeat(shares, sizes)]
