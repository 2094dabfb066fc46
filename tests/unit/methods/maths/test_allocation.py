"""Allocation: hand-worked cases, a slow reference, and properties of any allocation."""

import math

import numpy as np
import pytest

from vlselect.methods.maths.allocation import allocate, log_probabilities

pytestmark = pytest.mark.numeric


def slow_allocation(probability, sizes, budget):
    """Allocate by descending probability, with exact fractions of the unvisited clusters."""
    order = sorted(range(len(sizes)), key=lambda i: (-probability[i], i))
    wanted, given, left = {}, {}, budget
    for position, i in enumerate(order):
        wanted[i] = left * probability[i] / sum(probability[j] for j in order[position:])
        given[i] = min(round(wanted[i]), sizes[i])
        left -= given[i]
    lack = {i: wanted[i] - given[i] for i in given}
    while left:
        for i in sorted(given, key=lambda i: (-lack[i], i)):
            if left and given[i] < sizes[i]:
                given[i] += 1
                left -= 1
    return [given[i] for i in range(len(sizes))]


def test_probabilities_follow_the_formula():
    s, d = np.array([0.2, 0.4, 0.3]), np.array([0.5, 0.8, 0.6])
    weights = [math.exp(a / (0.1 * b)) for a, b in zip(s, d, strict=True)]
    np.testing.assert_allclose(
        np.exp(log_probabilities(s, d, 0.1)), np.array(weights) / sum(weights)
    )


def test_probabilities_survive_low_temperatures():
    s, d = np.array([0.9, 0.1, -0.9]), np.array([0.2, 1.0, 0.2])
    logs = log_probabilities(s, d, 1e-4)
    assert np.isfinite(logs).all() and (np.diff(logs) < 0).all()
    assert np.exp(log_probabilities(s, d, 1e-4)).sum() == pytest.approx(1)
    # even where every probability but one is below the smallest float64, the rest is shared
    np.testing.assert_array_equal(allocate(logs, [3, 5, 5], 10), [3, 5, 2])


@pytest.mark.parametrize(
    ("probability", "sizes", "budget", "expected"),
    [
        ([0.5, 0.3, 0.2], [10, 10, 10], 10, [5, 3, 2]),
        ([0.2, 0.3, 0.5], [10, 10, 10], 10, [2, 3, 5]),
        ([0.5, 0.3, 0.2], [2, 10, 10], 10, [2, 5, 3]),  # 3 left: 8·0.6 = 4.8, then 3
        ([0.25] * 4, [9] * 4, 4, [1, 1, 1, 1]),
        ([0.25] * 4, [9] * 4, 1, [0, 0, 0, 1]),  # 1/4, 1/3 and 1/2 round to 0
        ([0.6, 0.4], [3, 1], 3, [2, 1]),
        ([0.5, 0.5], [9, 1], 8, [7, 1]),  # 4, then 4 capped at 1: the first takes the other 3
        ([1.0], [4], 4, [4]),
    ],
)
def test_hand_worked_cases(probability, sizes, budget, expected):
    np.testing.assert_array_equal(allocate(np.log(probability), sizes, budget), expected)


@pytest.mark.parametrize("seed", range(40))
def test_allocation_is_the_slow_one_and_keeps_its_promises(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 30))
    sizes = rng.integers(1, 40, size=k)
    probability = rng.dirichlet(np.full(k, 0.3)) + 1e-12
    for budget in {0, 1, int(sizes.sum()), int(rng.integers(0, sizes.sum() + 1))}:
        given = allocate(np.log(probability), sizes, budget)
        assert given.sum() == budget
        assert (given >= 0).all() and (given <= sizes).all()
        np.testing.assert_array_equal(given, slow_allocation(probability, sizes, budget))


@pytest.mark.parametrize("seed", range(20))
def test_likelier_clusters_get_no_less_than_rounding_takes(seed):
    rng = np.random.default_rng(seed)
    probability = np.sort(rng.dirichlet(np.ones(12)))[::-1]
    given = allocate(np.log(probability), np.full(12, 1000), 200)
    for i in range(12):
        assert (given[i] >= given[i:] - 1).all()


def test_ties_go_by_cluster_number_and_scale_does_not_matter():
    logs = np.log([0.25, 0.25, 0.25, 0.25])
    np.testing.assert_array_equal(allocate(logs, [1, 1, 1, 1], 3), allocate(logs - 700, [1] * 4, 3))
    order = np.array([2, 0, 3, 1])
    probability = np.log([0.1, 0.2, 0.3, 0.4])
    sizes = np.array([5, 6, 7, 2])
    np.testing.assert_array_equal(
        allocate(probability[order], sizes[order], 11), allocate(probability, sizes, 11)[order]
    )


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="budget of 5"):
        allocate(np.zeros(2), [2, 2], 5)
    with pytest.raises(ValueError, match="budget of -1"):
        allocate(np.zeros(2), [2, 2], -1)
    with pytest.raises(ValueError, match="3 probabilities for 2"):
        allocate(np.zeros(3), [2, 2], 1)
    for s, d, t in (([0.1], [0.0], 0.1), ([np.nan], [1.0], 0.1), ([0.1], [1.0], 0.0)):
        with pytest.raises(ValueError, match="positive"):
            log_probabilities(np.array(s), np.array(d), t)
    with pytest.raises(ValueError, match="one per cluster"):
        log_probabilities(np.array([]), np.array([]), 0.1)
