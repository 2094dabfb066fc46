"""Comparison with random: against scipy, by hand, and under permutations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vlselect.tables import contrasts
from vlselect.tables.comparison_with_random import comparison_with_random, holm, verdict
from vlselect.tables.relative_performance import relative_by_seed

NONE = float("nan")


def slow_holm(p):
    """Apply Holm's definition: the largest correction of any p that is no larger."""
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


def compared(scores, read=None):
    by_seed = relative_by_seed(scores)
    return comparison_with_random(by_seed, contrasts.by_model(scores, read=read))


def table_of(runs, model="target", ratio="0.2"):
    """Return scores on one task, {method: {seed: score}}; `full` scores 100 in every seed."""
    rows = [
        {"model": model, "method": m, "ratio": ratio if m != "full" else "1.0", "seed": s}
        | {"task": "t", "score": value}
        for m, seeds in ({"full": {"0": 100.0}} | runs).items()
        for s, value in seeds.items()
    ]
    return pd.DataFrame(rows)


def test_without_questions_it_is_the_t_test_of_scipy_with_pooled_seeds():
    random, better = [60.0, 75.0, 90.0], [61.0, 76.1, 90.9, 80.0]
    runs = {"random": dict(zip("012", random, strict=True))}
    runs["icons"] = dict(zip("0123", better, strict=True))
    row = compared(table_of(runs)).iloc[0]
    expected = stats.ttest_ind(better, random, equal_var=True)
    assert row["p"] == pytest.approx(expected.pvalue, rel=1e-3) and row["df"] == 5
    low, high = expected.confidence_interval(0.95)
    # the questions and seeds of `full` are one run here: it has the pooled spread of one seed
    share = (77.0 - 75.0) / 100.0
    wider = math.sqrt(1 + share**2 / (1 / 3 + 1 / 4))
    assert row["high"] - row["low"] == pytest.approx((high - low) * wider, rel=1e-6)
    assert (row["n_seeds"], row["n_seeds_random"], row["interval"]) == (4, 3, "seeds")
    assert math.isnan(row["question_low"]) and row["p_holm"] == row["p"]


def test_seeds_are_not_paired():
    """The same scores under other seeds are the same evidence: runs share nothing by seed."""
    random = {"0": 60.0, "1": 75.0, "2": 90.0}
    better = {"0": 61.0, "1": 76.1, "2": 90.9}
    first = compared(table_of({"random": random, "icons": better}))
    mixed = dict(zip("675", better.values(), strict=True))
    second = compared(table_of({"random": random, "icons": mixed}))
    pd.testing.assert_frame_equal(first, second)
    assert first.loc[0, "difference"] == pytest.approx(1.0)
    assert first.loc[0, "verdict"] == "no difference shown" and first.loc[0, "p"] > 0.9


def test_questions_are_paired():
    """Questions that are hard for both cancel, so a small but steady difference is found."""
    hard = np.linspace(0.0, 100.0, 50)
    noise = {run: np.random.default_rng(i).normal(0, 1, 50) for i, run in enumerate("abcdef")}
    units = {("random", "0"): noise["a"], ("random", "1"): noise["b"]}
    units |= {("icons", "0"): noise["c"] + 2, ("icons", "1"): noise["d"] + 2}
    units |= {("full", "0"): noise["e"] + 40, ("full", "1"): noise["f"] + 40}
    units = {key: pd.Series(values + hard) for key, values in units.items()}
    runs = {m: {s: units[m, s].mean() for s in "01"} for m in ("full", "random", "icons")}
    row = compared(table_of(runs), lambda run, task: units[run.method, run.seed]).iloc[0]
    assert row["interval"] == "seeds and questions" and row["verdict"] == "higher"
    assert row["question_low"] > 0.0 and row["question_high"] - row["question_low"] < 2.0
    assert (row["p"] < 0.05) == (row["low"] > 0.0)


def test_one_seed_shows_nothing_but_questions():
    hard = np.linspace(0.0, 100.0, 50)
    units = {"full": hard + 10, "random": hard, "icons": hard + np.tile([1.0, 3.0], 25)}
    runs = {method: {"0": values.mean()} for method, values in units.items()}
    row = compared(table_of(runs), lambda run, task: pd.Series(units[run.method])).iloc[0]
    assert row["interval"] == "none" and row["verdict"] == "no difference shown"
    assert all(math.isnan(row[name]) for name in ("low", "high", "df", "p", "p_holm"))
    assert row["question_low"] < row["difference"] < row["question_high"]


def test_only_models_and_ratios_that_have_random_are_compared():
    parts = [
        table_of({"random": {"0": 50.0, "1": 60.0}, "icons": {"1": 70.0, "2": 99.0}}),
        table_of({"icons": {"0": 99.0}}, ratio="0.4")[1:],
        table_of({"icons": {"0": 99.0}}, model="other"),
    ]
    table = compared(pd.concat(parts, ignore_index=True))
    assert table[["model", "method", "ratio"]].to_numpy().tolist() == [["target", "icons", "0.2"]]
    assert table.loc[0, "difference"] == pytest.approx(84.5 - 55.0)


def test_no_spread_shows_nothing():
    """Equal runs that differ by 5 points give no interval: their spread is unknown."""
    runs = {"random": {"0": 50.0, "1": 50.0}, "icons": {"0": 55.0, "1": 55.0}}
    row = compared(table_of(runs)).iloc[0]
    assert row["interval"] == "none" and row["verdict"] == "no difference shown"
    assert math.isnan(row["low"]) and math.isnan(row["p"]) and row["difference"] == 5.0


def test_without_random_there_is_nothing_to_compare():
    assert compared(table_of({"icons": {"0": 1.0, "1": 2.0}})).empty


def test_order_of_rows_does_not_matter():
    generator = np.random.default_rng(3)
    methods = ("random", "a", "b", "c")
    scores = table_of({m: {str(s): generator.uniform(20, 80) for s in range(4)} for m in methods})
    expected = compared(scores).set_index("method").sort_index()
    mixed = compared(scores.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(mixed.set_index("method").sort_index(), expected)
