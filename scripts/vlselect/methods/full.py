"""The whole pool: the reference that every subset is compared with."""

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.selection import Selection


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int) -> Selection:
    """Choose every sample, in pool order; ValueError if the budget is smaller than the pool."""
    if budget != len(pool):
        raise InputError(f"full takes all {len(pool)} samples, not {budget}: use ratio 1.0")
    return Selection(np.arange(len(pool)))
