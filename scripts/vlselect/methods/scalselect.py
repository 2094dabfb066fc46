"""ScalSelect: samples that carry the dominant subspace of instruction-attended visual features.

References
----------
.. [1] ScalSelect: Scalable Training-Free Multimodal Data Selection for Efficient Visual
   Instruction Tuning, arXiv:2602.11636.
"""

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.selection import Selection
from vlselect.methods.maths.subspace import leverage
from vlselect.methods.maths.text_only import with_text_only


def score(pool: pd.DataFrame, signals: dict, seed: int, *, energy: float) -> np.ndarray:
    """Compute the leverage of every sample with an image in the dominant subspace.

    Parameters
    ----------
    signals : dict
        ``attended``: ShardedArray (N, d), visual features that the instruction attends to; rows of
        samples without an image are ignored.
    energy : float
        Share of the squared singular values that the subspace holds, in (0, 1].

    Returns
    -------
    float32 array, shape (N,)
        In [0, 1]; NaN for samples without an image.

    Raises
    ------
    ValueError
        If fewer than two samples have an image, or all their features are equal.
    """
    if "attended" not in signals:
        raise InputError("scalselect needs the signal 'attended'")
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
    """Choose the highest scores; `text_only` is the policy of `text_only.with_text_only`.

    The released program drops text-only samples.
    """
    if "scores" not in signals:
        raise InputError("scalselect needs the signal 'scores'")
    return with_text_only(
        signals["scores"]["score"].to_numpy(),
        pool["n_images"].to_numpy() > 0,
        budget,
        seed,
        text_only,
        sample_ids=pool["sample_id"].to_numpy(object),
        method="scalselect",
    )
