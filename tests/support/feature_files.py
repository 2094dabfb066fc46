"""Pools with features for tests of the methods that compare samples."""

import numpy as np
import pandas as pd
from array_files import write_shards

from vlselect.core.store import ShardedArray


def blobs(n=300, k=6, width=12, noise=0.3, copies=0, seed=0):
    """Return float16 rows around k directions; the last `copies` rows repeat the first ones."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(k, width))[rng.integers(0, k, n)] + noise * rng.normal(size=(n, width))
    if copies:
        rows[n - copies :] = rows[:copies]
    return rows.astype(np.float16)


def make_pool(n, seed=0):
    """Make a pool whose sample ids are unordered."""
    ids = [f"s{i:04d}" for i in np.random.default_rng(seed).permutation(n)]
    return pd.DataFrame({"row": np.arange(n), "sample_id": ids, "n_images": 1})


def array_of(folder, values, shards=1, **metadata):
    folder.mkdir(parents=True, exist_ok=True)
    return ShardedArray(write_shards(folder, values, shards, **metadata))


def shuffled(pool, order):
    """Return the same samples in another order."""
    return pool.iloc[order].assign(row=np.arange(len(pool))).reset_index(drop=True)


def table(scores):
    """Return scores as in a score file."""
    values = np.asarray(scores, dtype=np.float32)
    return pd.DataFrame({"row": np.arange(len(values)), "score": values})
