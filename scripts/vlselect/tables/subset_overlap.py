"""Samples that subsets have in common."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vlselect.tables.declarations import Run


def subset_overlap(n_pool: int, subsets: Mapping[Run, np.ndarray]) -> pd.DataFrame:
    """Count the samples that methods have in common, pairwise, at the same ratio and seed.

    Returns ``subset_overlap.csv``. Two independent random subsets of sizes a and b of a pool of N
    share a·b/N samples on average (`expected_by_chance`).
    """
    rows = []
    runs = list(subsets)
    masks = {run: _mask(n_pool, chosen) for run, chosen in subsets.items()}
    for i, first in enumerate(runs):
        for second in runs[i + 1 :]:
            if (first.ratio, first.seed) != (second.ratio, second.seed):
                continue
            n_a, n_b = int(masks[first].sum()), int(masks[second].sum())
            common = int((masks[first] & masks[second]).sum())
            either = n_a + n_b - common
            rows.append(
                {
                    "method_a": first.method,
                    "method_b": second.method,
                    "ratio": first.ratio,
                    "seed": first.seed,
                    "n_common": common,
                    "expected_by_chance": n_a * n_b / n_pool,
                    "jaccard": common / either if either else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _mask(n_pool: int, chosen: np.ndarray) -> np.ndarray:
    """Mark the chosen rows of the pool: (n_pool,) bool."""
    mask = np.zeros(n_pool, dtype=bool)
    mask[chosen] = True
    return mask
