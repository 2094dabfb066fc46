"""CLIP-Score: samples whose image and text agree most according to CLIP.

References
----------
.. [1] Hessel et al., CLIPScore, arXiv:2104.08718, section 3 (the cosine; its factor and its
   cut-off at zero, which do not change the order above zero, are left out).
"""

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.selection import Selection
from vlselect.core.store import ShardedArray
from vlselect.methods.maths.rankings import require
from vlselect.methods.maths.text_only import with_text_only

ROWS = 8192


def score(pool: pd.DataFrame, signals: dict, seed: int) -> np.ndarray:
    """Compute the cosine of the image and the text embedding.

    Parameters
    ----------
    signals : dict
        ``clip``: ShardedArray (N, 2 d), image and text embedding side by side.

    Returns
    -------
    float32 array, shape (N,)
        In [-1, 1]; NaN for samples without an image.
    """
    clip: ShardedArray = require(signals, "clip", "clip_score")
    has_image = pool["n_images"].to_numpy() > 0
    if clip.shape[0] != len(pool) or clip.shape[1] % 2:
        raise InputError(f"clip embeddings of shape {clip.shape} for {len(pool)} samples")
    parts = [
        _cosines(start, block, has_image[start : start + len(block)])
        for start, block in clip.blocks(ROWS)
    ]
    return np.concatenate(parts).astype(np.float32)


def select(
    pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, text_only: str
) -> Selection:
    """Choose the highest scores; `text_only` is the policy of `text_only.with_text_only`."""
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
    """Compute the cosines (n,) of a block (n, 2 d) from row `start` on; NaN without an image."""
    pairs = block.astype(np.float64).reshape(len(block), 2, -1)  # (n, image or text, d)
    norms = np.linalg.norm(pairs, axis=2)
    expected = np.column_stack([has_image, np.ones_like(has_image)])
    sound = (np.isfinite(norms) & ((norms > 0) == expected)).all(axis=1)
    if not sound.all():
        wrong = int(np.argmin(sound))
        raise InputError(
            f"row {start + wrong} has {'an' if has_image[wrong] else 'no'} image, but embeddings "
            f"of norms {norms[wrong].tolist()} (image, text)"
        )
    norms[~has_image] = np.nan
    return np.einsum("nd,nd->n", pairs[:, 0], pairs[:, 1]) / norms.prod(axis=1)
