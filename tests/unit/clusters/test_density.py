"""Density against a double loop over pairs."""

from functools import partial

import numpy as np
import pytest
from closeness import rounding

from vlselect.clusters import density as module

pytestmark = pytest.mark.numeric

density = partial(module.density, variant="released", sigma=1.0)


def pair_mean(samples, variant, sigma):
    values = [
        np.exp(-np.square(p - q).sum() / (2 * sigma**2))
        for i, p in enumerate(samples)
        for j, q in enumerate(samples)
        if variant == "released" or i != j
    ]
    return np.mean(values)


@pytest.mark.parametrize("variant", ["released", "paper"])
@pytest.mark.parametrize("n", [2, 3, 17])
def test_density_is_the_mean_over_pairs(variant, n, monkeypatch):
    samples = np.random.default_rng(n).normal(size=(n, 6))
    expected = pair_mean(samples, variant, 1.3)
    assert density(samples, variant=variant, sigma=1.3) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(module, "PAIRS", 1)  # blocks of one row
    assert density(samples, variant=variant, sigma=1.3) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_one_sample_and_equal_samples_have_density_one(variant):
    row = np.random.default_rng(0).normal(size=(1, 6))
    assert density(row, variant=variant) == 1
    assert density(np.repeat(row, 4, axis=0), variant=variant) == pytest.approx(1, abs=1e-12)


def test_row_order_does_not_matter():
    samples = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float16)
    allowed = rounding(81, "float64")  # pairs
    assert density(samples[::-1]) == pytest.approx(density(samples), rel=allowed)


def test_empty_cluster_and_unknown_variant_are_errors():
    with pytest.raises(ValueError, match="empty"):
        density(np.empty((0, 3)))
    with pytest.raises(ValueError, match="'official'"):
        density(np.ones((2, 3)), variant="official")
