"""CLIP-Score: samples whose image and text agree most, in the eyes of a CLIP.

References
----------
.. [1] Hessel et al., CLIPScore, arXiv:2104.08718, section 3 (the cosine; its factor and its
   cut-off at zero do not change the order above zero and are left out).
"""

import numpy as np
import pandas as pd

from vlselect.core.store import ShardedArray
from vlselect.methods.maths.rankings import require
from vlselect.subsets.budget import Selection, with_text_only

ROWS = 8192


def score(pool: pd.DataFrame, signals: dict, seed: int) -> np.ndarray:
    """Cosine of the image and the text embedding.

    Parameters
    ----------
    pool : DataFrame
        Column n_images; in row order.
    signals : dict
        ``clip``: ShardedArray (N, 2 d), image and text embedding side by side.
    seed : int
        Not used: nothing is drawn.

    Returns
    -------
    float32 array, shape (N,)
        In [-1, 1]; NaN for samples without an image.

    Raises
    ------
    ValueError
        If the signal is missing, does not fit the pool, or an embedding is missing or not finite.
    """
    clip: ShardedArray = require(signals, "clip", "clip_score")
    has_image = pool["n_images"].to_numpy() > 0
    if clip.shape[0] != len(pool) or clip.shape[1] % 2:
        raise ValueError(f"clip embeddings of shape {clip.shape} for {len(pool)} samples")
    parts = [
        _cosines(start, block, has_image[start : start + len(block)])
        for start, block in clip.blocks(ROWS)
    ]
    return np.concatenate(parts).astype(np.float32)


def select(
    pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, text_only: str
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
        `proportional`: their share of the budget, drawn at random; `drop`: none.

    Returns
    -------
    Selection
        Best scores first, ties by sample id; then the text-only samples, with NaN as score.

    Raises
    ------
    ValueError
        If scores are missing, or samples with an image are too few for `drop`.
    """
    return with_text_only(
        require(signals, "scores", "clip_score")["score"].to_numpy(),
        pool["n_images"].to_numpy() > 0,
        budget,
        seed,
        text_only,
        sample_ids=pool["sample_id"].to_numpy(object),
        method="clip_score",
    )


def _cosines(start: int, block: np.ndarray, has_image: np.ndarray) -> np.ndarray:
    """Cosines (n,) of a block (n, 2 d) that begins at row `start`; NaN without an image."""
    pairs = block.astype(np.float64).reshape(len(block), 2, -1)  # (n, image or text, d)
    norms = np.linalg.norm(pairs, axis=2)
    expected = np.column_stack([has_image, np.ones_like(has_image)])
    sound = (np.isfinite(norms) & ((norms > 0) == expected)).all(axis=1)
    if not sound.all():
        wrong = int(np.argmin(sound))
        raise ValueError(
            f"row {start + wrong} has {'an' if has_image[wrong] else 'no'} image, but embeddings "
            f"of norms {norms[wrong].tolist()} (image, text)"
        )
    norms[~has_image] = np.nan
    return np.einsum("nd,nd->n", pairs[:, 0], pairs[:, 1]) / norms.prod(axis=1)
