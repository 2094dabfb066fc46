"""MCL: samples whose texts together cover the concepts of the pool.

References
----------
.. [1] Wu and Ma, Mapping the Concept Landscape, arXiv:2608.22858.
"""

import numpy as np
import pandas as pd

from vlselect.core.ordering import id_ranks
from vlselect.core.selection import Selection
from vlselect.methods.maths import concepts, coverage
from vlselect.methods.maths.rankings import require


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int, *, cover: str) -> Selection:
    """Choose greedily what adds most to the concepts that are covered.

    Parameters
    ----------
    signals : dict
        ``concepts``: DataFrame row, concepts (an int array of each sample); ``vocabulary``:
        DataFrame with the column importance, a row for each concept. Both from
        `concepts.of_samples`.
    cover : {"rounds", "concave"}
        See `coverage.choose`.

    Returns
    -------
    Selection
        Scores are what each sample added when it was chosen.
    """
    own = require(signals, "concepts", "mcl")["concepts"].tolist()
    importance = require(signals, "vocabulary", "mcl")["importance"].to_numpy(np.float64)
    sizes = np.fromiter(map(len, own), np.int64, len(own))
    members = np.concatenate([np.empty(0, np.int32), *own]).astype(np.int32)
    known = coverage.Cover(members, np.r_[0, np.cumsum(sizes)], importance, concepts.STEP)
    ranks = id_ranks(pool["sample_id"].to_numpy(object))
    return Selection(*coverage.choose(known, ranks, budget, cover))
