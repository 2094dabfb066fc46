"""The bound on rounding: it holds for sums in any order, and is tight enough to catch faults."""

import numpy as np
import pytest
import torch
from closeness import assert_close_sums, assert_close_vectors, chain, distances, rounding
from torch import nn

RNG = np.random.default_rng(0)


def summed(products, order):
    """Sum float32 products one after the other."""
    return np.cumsum(products[..., order], axis=-1, dtype=np.float32)[..., -1]


@pytest.mark.parametrize("n", [2, 30, 1000])
def test_sums_in_two_orders_are_close(n):
    products = RNG.random((300, n), dtype=np.float32)  # of one sign: rounding errors accumulate
    one, other = (summed(products, RNG.permutation(n)) for _ in range(2))
    assert_close_sums(one, other, terms=n)
    signed = products * RNG.choice(np.float32([-1, 1]), products.shape)
    one, other = (summed(signed, RNG.permutation(n)) for _ in range(2))
    assert_close_sums(one, other, terms=n, scale=products.sum(axis=1))
    assert_close_vectors(one, other, terms=n)


def test_the_bound_is_no_wider_than_the_worst_case_of_a_long_sum():
    for n in (100, 1000, 10_000):
        assert rounding(n) < n * 2**-23


def test_a_missing_product_a_swap_and_half_precision_are_not_close():
    products = RNG.random((20, 500), dtype=np.float32)
    whole, forward = products.sum(axis=1), np.arange(500)
    for wrong in (
        summed(products, forward[:-1]),
        whole[[1, 0, *range(2, 20)]],
        products.astype(np.float16).sum(axis=1),
    ):
        with pytest.raises(AssertionError, match="is off by"):
            assert_close_sums(wrong, whole, terms=500)


def test_a_vector_counts_by_its_norm_and_what_is_stored_by_its_last_place():
    expected = np.array([[3.0, 4.0, 0.0]])
    assert distances(expected + [[0, 0, 0.5]], expected) == pytest.approx([0.1])
    assert_close_vectors(expected.astype(np.float32) * np.float32(1 + 2**-23), expected, terms=1)
    values = RNG.normal(size=(50, 64))
    assert_close_vectors(values.astype(np.float16), values, terms=1, stored="float16")
    with pytest.raises(AssertionError):
        assert_close_vectors(values.astype(np.float16), values, terms=64)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e-30])
def test_nothing_is_close_to_zero_or_to_what_is_not_finite(wrong):
    zeros = np.zeros((3, 4))
    assert_close_vectors(zeros, zeros, terms=1)
    spoilt = zeros.copy()
    spoilt[1, 2] = wrong
    with pytest.raises(AssertionError, match=r"vector \(1,\)"):
        assert_close_vectors(spoilt, zeros, terms=1)


def test_a_chain_is_as_long_as_the_layers_are_wide():
    model = nn.Sequential(nn.Embedding(9, 5), nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 2))
    assert chain(model) == 5 + 7
    assert chain(nn.Conv2d(3, 8, kernel_size=2)) == 3 * 2 * 2
    assert_close_vectors(torch.ones(3), np.ones(3), terms=1)
