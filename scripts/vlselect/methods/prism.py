"""PRISM: samples whose visual features correlate least with those of all others.

References
----------
.. [1] Bi et al., PRISM: Self-Pruning Intrinsic Selection Method for Training-Free Multimodal Data
   Selection, arXiv:2502.12119; version 1, and version 4, which centres the features.
"""

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.selection import Selection
from vlselect.core.store import ShardedArray
from vlselect.methods.maths.rankings import require
from vlselect.methods.maths.subspace import included
from vlselect.methods.maths.text_only import with_text_only

VARIANTS = ("v1", "v4")


def score(pool: pd.DataFrame, signals: dict, seed: int, *, variant: str) -> np.ndarray:
    """Compute minus each sample's mean correlation with all other samples with an image.

    Parameters
    ----------
    signals : dict
        ``visual``: ShardedArray (N, d), mean hidden states of the visual tokens; rows of samples
        without an image are ignored.
    variant : {"v1", "v4"}
        See `mean_correlations`.

    Returns
    -------
    float32 array, shape (N,)
        In [-1, 1]; NaN for samples without an image.
    """
    has_image = pool["n_images"].to_numpy() > 0
    visual = require(signals, "visual", "prism")
    return -mean_correlations(visual, has_image, variant).astype(np.float32)


def select(
    pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, text_only: str
) -> Selection:
    """Choose the highest scores; `text_only` is the policy of `text_only.with_text_only`.

    The paper keeps all text-only samples, on top of its budget.
    """
    return with_text_only(
        require(signals, "scores", "prism")["score"].to_numpy(),
        pool["n_images"].to_numpy() > 0,
        budget,
        seed,
        text_only,
        sample_ids=pool["sample_id"].to_numpy(object),
        method="prism",
    )


def mean_correlations(array: ShardedArray, include: np.ndarray, variant: str) -> np.ndarray:
    """Compute the mean correlation of each included row with all the others, exactly.

    The sum over the others of u_i · u_j is u_i · (sum of all u) − 1: linear in the number of rows,
    in passes over blocks (v4: mean, sum, scores; v1: sum, scores).

    Parameters
    ----------
    array : ShardedArray, shape (N, d)
    include : bool array, shape (N,)
        Rows to compare; the others get NaN.
    variant : {"v1", "v4"}
        What is taken from a row before it is scaled to unit length: `v1` its own mean over the d
        entries (Pearson's correlation of two rows), `v4` the mean of all rows. A row of which
        nothing is left has the correlation 0 with all others.

    Returns
    -------
    float64 array, shape (N,)

    Raises
    ------
    InputError
        If fewer than two rows are included, one is not finite, or nothing is left of any.
    """
    if variant not in VARIANTS:
        raise InputError(f"variant {variant!r} is not one of {VARIANTS}")
    n = int(include.sum())
    if n < 2:
        raise InputError(f"a correlation needs at least two samples with an image, not {n}")
    mean, total, directed = np.zeros(array.shape[1]), np.zeros(array.shape[1]), 0
    if variant == "v4":
        for _, block in included(array, include):
            mean += block.sum(axis=0, dtype=np.float64) / n
    for _, block in included(array, include):
        units = directions(block, mean, variant, n)
        total += units.sum(axis=0)
        directed += int(units.any(axis=1).sum())
    if not directed:
        what = "representations are equal" if variant == "v4" else "representations are constant"
        raise InputError(f"all {n} {what}: there is nothing to correlate")
    out = np.full(len(include), np.nan)
    for rows, block in included(array, include):
        units = directions(block, mean, variant, n)
        # Sums over rows of a block, not a product: a row's does not depend on where it stands.
        out[rows] = ((units * total).sum(axis=1) - units.any(axis=1)) / (n - 1)
    return out


def directions(rows: np.ndarray, mean: np.ndarray, variant: str, n: int) -> np.ndarray:
    """Return what `variant` leaves of each row (b, d) as a unit vector, float64.

    Zeros where that cannot be told from the rounding of the mean over `n` rows.
    """
    rows = rows.astype(np.float64)
    left = rows - (mean if variant == "v4" else rows.mean(axis=1, keepdims=True))
    norms = np.linalg.norm(left, axis=1)
    rounding = max(n, rows.shape[1]) * np.finfo(np.float64).eps
    something = norms > rounding * np.linalg.norm(rows, axis=1)
    return np.where(something[:, None], left / np.where(something, norms, 1)[:, None], 0.0)
