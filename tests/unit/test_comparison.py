"""Paired comparison with random: against textbook formulas, scipy, and permutations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vlselect.comparison import comparison_with_random, holm, paired_t_test, verdict

NONE = float("nan")


def by_seed(scores, model="target", ratio="0.2"):
    """Means of relative performance: {method: {seed: value}}."""
    rows = [
        {"model": model, "method": m, "ratio": ratio, "seed": s, "task": "mean", "relative": v}
        for m, seeds in scores.items()
        for s, v in seeds.items()
    ]
    return pd.DataFrame(rows).assign(score=0.0)


def test_three_pairs_by_hand():
    # differences 1, 2, 6: mean 3, s² = 7; t(0.975, 2) = 4.302653 from a printed table. With two
    # degrees of freedom p = 1 − t / √(t² + 2).
    mean, low, high, p = paired_t_test([1.0, 2.0, 6.0])
    half = 4.302653 * math.sqrt(7 / 3)
    t = 3 / math.sqrt(7 / 3)
    assert (mean, low, high) == pytest.approx((3.0, 3.0 - half, 3.0 + half), rel=1e-6)
    assert p == pytest.approx(1 - t / math.sqrt(t * t + 2))


def test_as_scipy_for_random_pairs():
    generator = np.random.default_rng(0)
    for n in (2, 3, 5, 12):
        method, random = generator.normal(80, 3, n), generator.normal(78, 3, n)
        expected = stats.ttest_rel(method, random)
        mean, low, high, p = paired_t_test(method - random)
        assert p == pytest.approx(expected.pvalue)
        assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
        assert mean == pytest.approx(np.mean(method) - np.mean(random))


def test_interval_holds_zero_exactly_where_p_is_above_five_percent():
    generator = np.random.default_rng(1)
    for _ in range(300):
        _, low, high, p = paired_t_test(generator.normal(1.0, 1.0, 3))
        assert (low <= 0.0 <= high) == (p >= 0.05)
        assert (verdict(low, high) == "no difference shown") == (p >= 0.05)


@pytest.mark.parametrize("differences", [[2.5], [2.5, 2.5], [0.0, 0.0, 0.0], [0.1 + 0.2, 0.3]])
def test_one_pair_or_no_spread_shows_nothing(differences):
    mean, low, high, p = paired_t_test(differences)
    assert mean == pytest.approx(np.mean(differences))
    assert all(math.isnan(value) for value in (low, high, p))
    assert verdict(low, high) == "no difference shown"


@pytest.mark.parametrize("differences", [[], [1.0, NONE]])
def test_refuses_what_is_no_difference(differences):
    with pytest.raises(ValueError, match="finite"):
        paired_t_test(differences)


def slow_holm(p):
    """Step down by the definition: the largest correction of any p that is no larger."""
    tested = [value for value in p if not math.isnan(value)]
    corrected = []
    for value in p:
        steps = [
            (len(tested) - sum(other < smaller for other in tested)) * smaller
            for smaller in tested
            if smaller <= value
        ]
        corrected.append(NONE if math.isnan(value) else min(1.0, max(steps)))
    return corrected


def test_holm_against_the_definition():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    generator = np.random.default_rng(2)
    for n in (1, 2, 7, 20):
        p = generator.random(n) ** 3
        p[generator.random(n) < 0.2] = NONE
        np.testing.assert_allclose(holm(p), slow_holm(p))
        order = generator.permutation(n)
        np.testing.assert_allclose(holm(p[order]), holm(p)[order])


def test_holm_of_nothing():
    assert holm([]).tolist() == []
    assert math.isnan(holm([NONE])[0])


def test_a_verdict_needs_an_interval_without_zero():
    assert verdict(0.1, 3.0) == "higher" and verdict(-3.0, -0.1) == "lower"
    for low, high in ((-0.1, 3.0), (0.0, 1.0), (-1.0, 0.0), (NONE, NONE)):
        assert verdict(low, high) == "no difference shown"


def test_pairs_seeds_not_means():
    """What seeds have in common cancels: a small but steady difference is found."""
    random = {"0": 60.0, "1": 75.0, "2": 90.0}
    better = {"0": 61.0, "1": 76.1, "2": 90.9}
    table = comparison_with_random(
        by_seed({"full": {"0": 100.0}, "random": random, "icons": better})
    )
    assert table["method"].tolist() == ["full", "icons"]  # at one ratio here, on purpose
    row = table.set_index("method").loc["icons"]
    assert row["n_seeds"] == 3 and row["difference"] == pytest.approx(1.0)
    assert row["verdict"] == "higher" and row["p"] < 0.05
    assert row["p_holm"] == row["p"]  # `full` has one seed: no test, so nothing to correct for


def test_only_shared_models_ratios_and_seeds_are_compared():
    parts = [
        by_seed({"random": {"0": 50.0, "1": 60.0}, "icons": {"1": 70.0, "2": 99.0}}),
        by_seed({"icons": {"0": 99.0}}, ratio="0.4"),
        by_seed({"icons": {"0": 99.0}}, model="other"),
    ]
    table = comparison_with_random(pd.concat(parts, ignore_index=True))
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["n_seeds"], row["difference"]) == (1, 10.0)
    assert math.isnan(row["p"]) and math.isnan(row["p_holm"])


def test_without_random_there_is_nothing_to_compare():
    assert comparison_with_random(by_seed({"icons": {"0": 1.0, "1": 2.0}})).empty


def test_order_of_rows_does_not_matter():
    generator = np.random.default_rng(3)
    methods = ("random", "a", "b", "c")
    scores = by_seed({m: {str(s): generator.normal() for s in range(4)} for m in methods})
    expected = comparison_with_random(scores).set_index("method").sort_index()
    mixed = comparison_with_random(scores.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(mixed.set_index("method").sort_index(), expected)
