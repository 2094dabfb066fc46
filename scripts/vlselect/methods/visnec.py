"""VisNec: samples whose answers need the image, from every cluster of questions its share.

References
----------
.. [1] Dong et al., VisNec, ECCV 2026, arXiv:2603.01195.
"""

import numpy as np
import pandas as pd

from vlselect.core.selection import Selection
from vlselect.methods.maths.rankings import named_column, require
from vlselect.methods.maths.strata import best_of_strata
from vlselect.methods.maths.text_only import with_text_only


def score(pool: pd.DataFrame, signals: dict, seed: int) -> np.ndarray:
    """Read every sample's visual gain: its loss without the image, less that with it.

    Parameters
    ----------
    signals : dict
        ``gains``: ShardedArray with a column visual_gain.

    Returns
    -------
    float32 array, shape (N,)
        In nats a token; below 0 where the image misleads, 0 for text-only samples.
    """
    return named_column(require(signals, "gains", "visnec"), "visual_gain", len(pool), "gains")


def select(
    pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, text_only: str
) -> Selection:
    """Choose from every cluster of questions its proportional share, by visual gain.

    Parameters
    ----------
    signals : dict
        ``scores``, and ``clusters``: DataFrame row, cluster.
    text_only : {"ranked", "proportional", "drop"}
        See `text_only.with_text_only`; `ranked`, by their gain of 0, as in the authors' program.
    """
    scores = require(signals, "scores", "visnec")["score"].to_numpy()
    cluster = require(signals, "clusters", "visnec")["cluster"].to_numpy()
    ids = pool["sample_id"].to_numpy(object)

    def choose(rows: np.ndarray, count: int) -> np.ndarray:
        return rows[best_of_strata(scores[rows], cluster[rows], count, ids[rows])]

    return with_text_only(
        scores,
        pool["n_images"].to_numpy() > 0,
        budget,
        seed,
        text_only,
        sample_ids=ids,
        method="visnec",
        choose=choose,
    )
