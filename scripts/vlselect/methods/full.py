"""The whole pool: what every subset is measured against."""

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.selection import Selection


def select(pool: pd.DataFrame, signals: dict, budget: int, seed: int) -> Selection:
    """Choose every sample, in pool order; `signals` and `seed` are not used.

    Raises
    ------
    ValueError
        If the budget is less than the pool: `full` knows no order to choose by.
    """
    if budget != len(pool):
        raise InputError(f"full takes all {len(pool)} samples, not {budget}: use ratio 1.0")
    return Selection(np.arange(len(pool)))
