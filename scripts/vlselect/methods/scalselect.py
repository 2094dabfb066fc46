"""ScalSelect: samples that carry the dominant subspace of instruction-attended visual features.

References
----------
.. [1] ScalSelect: Scalable Training-Free Multimodal Data Selection for Efficient Visual
   Instruction Tuning, arXiv:2602.11636.
"""

import numpy as np
import pandas as pd

from vlselect.methods.maths.subspace import leverage
from vlselect.subsets.budget import Selection, with_text_only


def score(pool: pd.DataFrame, signals: dict, seed: int, *, energy: float) -> np.ndarray:
    """Leverage of every sample with an image in the dominant subspace.

    Parameters
    ----------
    pool : DataFrame
        Column n_images; in row order.
    signals : dict
        ``attended``: ShardedArray (N, d), visual features that the instruction attends to. Rows of
        samples without an image are not looked at.
    seed : int
        Not used: nothing is drawn.
    energy : float
        Share of the squared singular values that the subspace holds, in (0, 1].

    Returns
    -------
    float32 array, shape (N,)
        In [0, 1]; NaN for samples without an image.

    Raises
    ------
    ValueError
        If the signal is missing or does not fit the pool, fewer than two samples have an image,
        or all their features are equal.
    """
    if "attended" not in signals:
        raise ValueError("scalselect needs the signal 'attended'")
    has_image = pool["n_images"].to_numpy() > 0
    return leverage(signals["attended"], has_image, energy).astype(np.float32)


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    text_only: str,
) -> Selection:
    """Choose the samples with the highest scores, and text-only samples by their policy.

    Parameters
    ----------
    pool : DataFrame
        Columns sample_id, n_images; in row order.
    signals : dict
        ``scores``: DataFrame row, score, as `score` makes them.
    budget : int
    seed : int
        Of the draw among text-only samples.
    text_only : {"proportional", "drop"}
        `proportional`: their share of the budget, drawn at random; `drop` (released): none.

    Returns
    -------
    Selection
        Best scores first, ties by sample id; then the text-only samples, with NaN as score.

    Raises
    ------
    ValueError
        If scores are missing, or samples with an image are too few for `drop`.
    """
    if "scores" not in signals:
        raise ValueError("scalselect needs the signal 'scores'")
    return with_text_only(
        signals["scores"]["score"].to_numpy(),
        pool["n_images"].to_numpy() > 0,
        budget,
        seed,
        text_only,
        sample_ids=pool["sample_id"].to_numpy(object),
        method="scalselect",
    )
