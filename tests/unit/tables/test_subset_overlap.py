"""Overlap of subsets, against sets."""

import numpy as np
import pytest

from vlselect.tables.declarations import Run
from vlselect.tables.subset_overlap import subset_overlap


def test_overlap_against_sets_and_only_at_the_same_ratio_and_seed():
    generator = np.random.default_rng(1)
    subsets = {
        Run("", method, ratio, seed): generator.choice(100, int(100 * float(ratio)), replace=False)
        for method in ("x", "y", "z")
        for ratio in ("0.1", "0.3")
        for seed in ("0", "1")
    }
    table = subset_overlap(100, subsets)
    assert len(table) == 3 * 4
    for row in table.to_dict("records"):
        a = set(subsets[Run("", row["method_a"], row["ratio"], row["seed"])])
        b = set(subsets[Run("", row["method_b"], row["ratio"], row["seed"])])
        assert row["n_common"] == len(a & b)
        assert row["jaccard"] == pytest.approx(len(a & b) / len(a | b))
        assert row["expected_by_chance"] == pytest.approx(len(a) * len(b) / 100)


def test_one_subset_overlaps_with_nothing():
    assert subset_overlap(10, {Run("", "x", "0.1", "0"): np.array([3])}).empty
