"""Random selection: uniform without replacement, the baseline of every comparison."""

import pandas as pd

from vlselect.core.ordering import draw
from vlselect.core.selection import Selection


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int) -> Selection:
    """Draw `budget` samples by a hash of seed and sample id (`ordering.draw`).

    With one seed, a smaller subset is part of every larger one.
    """
    return Selection(draw(pool["sample_id"].to_numpy(object), budget, seed, None))
