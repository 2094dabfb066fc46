"""Means and t intervals, against textbook values."""

import math
import statistics

import numpy as np
import pytest

from vlselect.intervals import t_interval


def test_three_values_by_hand():
    # t(0.975, 2) = 4.302653 from a printed table; s = 1, n = 3
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert mean - low == pytest.approx(high - mean)


def test_two_values_at_ninety_percent():
    # t(0.95, 1) = 6.31375151
    values = [10.0, 14.0]
    _, low, high = t_interval(values, confidence=0.90)
    half = 6.31375151 * statistics.stdev(values) / math.sqrt(2)
    assert (low, high) == pytest.approx((12 - half, 12 + half), rel=1e-6)


def test_one_seed_has_no_interval():
    mean, low, high = t_interval([71.5])
    assert mean == 71.5 and math.isnan(low) and math.isnan(high)


def test_order_of_seeds_does_not_matter():
    values = [3.0, 9.0, 4.0, 4.5]
    assert t_interval(values) == pytest.approx(t_interval(values[::-1]))


def test_covers_the_true_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    draws = generator.normal(5.0, 2.0, size=(2000, 3))
    inside = [low <= 5.0 <= high for _, low, high in map(t_interval, draws)]
    assert 0.93 < np.mean(inside) < 0.97


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")], [[1.0, 2.0]]])
def test_refuses_what_has_no_mean(values):
    with pytest.raises(ValueError, match="finite"):
        t_interval(values)


def test_refuses_a_confidence_out_of_range():
    with pytest.raises(ValueError, match="confidence"):
        t_interval([1.0, 2.0], confidence=95)
