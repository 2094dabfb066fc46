"""Composition and overlap of subsets, compared with loops over sets."""

import numpy as np
import pytest

from vlselect.tables.declarations import Run
from vlselect.tables.subset_composition import subset_composition

SOURCES = ["b", "a", "b", "c", "b", "a", "c", "b"]


def test_counts_every_source_also_where_there_is_none():
    run = Run("", "icons", "0.5", "0")
    table = subset_composition(SOURCES, {run: np.array([0, 2, 4, 5])})
    assert table["source"].tolist() == ["b", "a", "c"]
    assert table["n"].tolist() == [3, 1, 0]
    assert table["share"].tolist() == [0.75, 0.25, 0.0]
    assert table["pool_share"].tolist() == [0.5, 0.25, 0.25]


def test_shares_add_up_for_any_subset():
    generator = np.random.default_rng(0)
    sources = generator.choice(list("pqrst"), size=200)
    subsets = {
        Run("", f"m{i}", "0.2", "0"): generator.choice(200, 40, replace=False) for i in range(4)
    }
    table = subset_composition(sources, subsets)
    assert table.groupby("method")["share"].sum().to_numpy() == pytest.approx(1.0)
    assert table.groupby("method")["n"].sum().tolist() == [40] * 4
    for run, rows in subsets.items():
        own = table[table["method"] == run.method].set_index("source")["n"]
        for source in "pqrst":
            assert own[source] == sum(sources[row] == source for row in rows)
