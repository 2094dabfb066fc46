"""The method `random`."""

import numpy as np
import pandas as pd

from vlselect.methods import random

POOL = pd.DataFrame({"row": range(60), "sample_id": [f"s{i}" for i in range(60)]})


def chosen(pool, seed, budget=12):
    selection = random.select(pool, {}, budget, seed)
    selection.check(budget, len(pool))
    return set(pool["sample_id"].to_numpy()[selection.rows])


def test_a_seed_fixes_the_draw():
    assert chosen(POOL, 0) == chosen(POOL, 0)
    assert chosen(POOL, 0) != chosen(POOL, 1)


def test_the_pools_order_does_not_matter():
    order = np.random.default_rng(0).permutation(60)
    moved = POOL.iloc[order].reset_index(drop=True)
    assert chosen(moved, 0) == chosen(POOL, 0)
