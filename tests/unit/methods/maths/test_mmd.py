"""Greedy MMD against computing the whole MMD of every candidate set at every pick."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from performance import straightforward as plain
from vlselect.methods.maths import mmd
from vlselect.methods.maths.mmd import whole_kernel

pytestmark = pytest.mark.numeric

greedy = partial(mmd.greedy, sigma=1.0)


def exact_mmd(kernel, chosen):
    """Return MMD^2 of a cluster and a part of it, by definition, as an exact fraction."""
    n, m = len(kernel), len(chosen)
    everything = range(n)
    within = sum(kernel[p][q] for p in everything for q in everything)
    picks = sum(kernel[p][q] for p in chosen for q in chosen)
    between = sum(kernel[p][q] for p in everything for q in chosen)
    return Fraction(within, n * n) + Fraction(picks, m * m) - 2 * Fraction(between, n * m)


def brute_force(kernel, budget):
    chosen = []
    for _ in range(budget):
        rest = [j for j in range(len(kernel)) if j not in chosen]
        chosen.append(min(rest, key=lambda j: (exact_mmd(kernel, [*chosen, j]), j)))
    return chosen


def make_samples(n, seed, copies=False):
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(n, 5))
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    if copies:
        samples = samples[rng.integers(0, max(1, n // 2), size=n)]
    return samples.astype(np.float16)


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 20])
def test_picks_are_those_of_the_definition(n, copies):
    samples = make_samples(n, seed=n, copies=copies)
    kernel = [[int(v) for v in row] for row in whole_kernel(samples, samples, 1.0, n)]
    budget = min(n, 8)
    assert greedy(samples, budget).tolist() == brute_force(kernel, budget)


def test_forty_samples_half_of_them_copies():
    samples = make_samples(40, seed=0, copies=True)
    kernel = [[int(v) for v in row] for row in whole_kernel(samples, samples, 1.0, 40)]
    assert greedy(samples, 4).tolist() == brute_force(kernel, 4)


def test_rounding_of_the_kernel_does_not_change_picks_of_distinct_samples():
    samples = make_samples(40, seed=3)
    kernel = plain.gaussian_kernel(samples)
    np.testing.assert_array_equal(greedy(samples, 40), plain.greedy_mmd(kernel, 40))
    np.testing.assert_array_equal(greedy(samples, 12), plain.greedy_mmd_one_by_one(kernel, 12))


def test_rounded_kernel_is_close_and_its_sums_fit():
    samples = make_samples(6, seed=1).astype(np.float64)
    exact = np.exp(-np.square(samples[:, None] - samples[None]).sum(axis=-1) / 2)
    np.testing.assert_allclose(whole_kernel(samples, samples, 1.0, 6) / 2.0**30, exact, atol=1e-9)
    for n in (1, 65_536, 65_537, 665_000):
        largest = int(whole_kernel(samples[:1], samples[:1], 1.0, n)[0, 0])
        assert n * n * largest < 2**63


@pytest.mark.parametrize("n", [1, 7, 30])
def test_rows_of_the_kernel_on_demand_give_the_same_picks(n, monkeypatch):
    samples = make_samples(n, seed=n, copies=True)
    kept = greedy(samples, n)
    assert sorted(kept) == list(range(n))
    np.testing.assert_array_equal(greedy(samples, n, kernel_bytes=0), kept)
    monkeypatch.setattr("vlselect.methods.maths.mmd.PAIRS", 1)
    np.testing.assert_array_equal(greedy(samples, n), kept)


def test_fewer_picks_are_the_first_of_more():
    samples = make_samples(25, seed=4)
    np.testing.assert_array_equal(greedy(samples, 6), greedy(samples, 25)[:6])


def test_permuted_samples_give_the_same_choice():
    samples = make_samples(25, seed=5)
    order = np.random.default_rng(0).permutation(25)
    np.testing.assert_array_equal(order[greedy(samples[order], 10)], greedy(samples, 10))


def test_copies_are_taken_lowest_row_first():
    samples = np.repeat(make_samples(1, seed=0), 4, axis=0)
    assert greedy(samples, 4).tolist() == [0, 1, 2, 3]


def test_no_budget_gives_nothing_and_too_much_is_an_error():
    samples = make_samples(3, seed=0)
    assert greedy(samples, 0).shape == (0,)
    for budget in (-1, 4):
        with pytest.raises(ValueError, match="cluster of 3"):
            greedy(samples, budget)
