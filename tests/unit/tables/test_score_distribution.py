"""Scores by source, compared with loops over samples."""

import math

import numpy as np
import pytest

from vlselect.tables.declarations import Run
from vlselect.tables.score_distribution import QUANTILES, score_distribution


def slow_quantile(values, share):
    """Interpolate linearly between the two nearest order statistics."""
    values = sorted(values)
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def make(seed=0, n=120):
    generator = np.random.default_rng(seed)
    sources = generator.choice(["a", "b", "c", "d"], n, p=[0.1, 0.4, 0.3, 0.2])
    scores = generator.normal(size=n)
    scores[generator.random(n) < 0.1] = np.nan
    scores[sources == "d"] = np.nan
    subsets = {
        Run("", method, ratio, seed): generator.choice(n, int(n * float(ratio)), replace=False)
        for method in ("el2n", "other")
        for ratio in ("0.1", "0.3")
        for seed in ("0", "1")
    }
    return sources.tolist(), scores, subsets


def test_against_loops():
    sources, scores, subsets = make()
    table = score_distribution(sources, "el2n", scores, subsets)
    assert table["method"].unique().tolist() == ["el2n"] and len(table) == 2 * 4
    for row in table.to_dict("records"):
        members = [i for i, source in enumerate(sources) if source == row["source"]]
        known = [scores[i] for i in members if not math.isnan(scores[i])]
        assert (row["n"], row["n_scored"]) == (len(members), len(known))
        for name, share in QUANTILES.items():
            expected = slow_quantile(known, share) if known else float("nan")
            assert row[name] == pytest.approx(expected, nan_ok=True)
        chosen = [
            sum(i in set(subsets[Run("", "el2n", row["ratio"], seed)]) for i in members)
            for seed in ("0", "1")
        ]
        assert row["chosen"] == pytest.approx(sum(chosen) / 2 / len(members))


def test_sources_come_largest_first_and_shares_weigh_to_the_ratio():
    sources, scores, subsets = make(1)
    table = score_distribution(sources, "el2n", scores, subsets)
    for ratio, own in table.groupby("ratio"):
        assert own["n"].is_monotonic_decreasing
        assert (own["chosen"] * own["n"]).sum() == pytest.approx(120 * float(ratio))


def test_order_of_the_pool_does_not_matter():
    sources, scores, subsets = make(2)
    order = np.random.default_rng(0).permutation(len(sources))
    place = np.argsort(order)
    moved = {run: place[rows] for run, rows in subsets.items()}
    mixed = score_distribution([sources[i] for i in order], "el2n", scores[order], moved)
    assert mixed.equals(score_distribution(sources, "el2n", scores, subsets))


def test_a_method_without_subsets_has_no_rows():
    sources, scores, subsets = make()
    assert score_distribution(sources, "perplexity", scores, subsets).empty


def test_refuses_scores_of_another_pool():
    sources, scores, subsets = make()
    with pytest.raises(ValueError, match="el2n.*119"):
        score_distribution(sources, "el2n", scores[:-1], subsets)
