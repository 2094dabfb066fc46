"""The Gaussian kernel against its definition."""

import numpy as np
import pytest
from closeness import assert_close_sums

from vlselect.clusters import kernel

pytestmark = pytest.mark.numeric


def test_kernel_is_its_definition():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 7)), rng.normal(size=(4, 7))
    expected = [[np.exp(-np.square(p - q).sum() / (2 * 0.7**2)) for q in b] for p in a]
    np.testing.assert_allclose(kernel.gaussian(a, b, 0.7), expected, rtol=1e-12)


@pytest.mark.parametrize("values", [1, kernel.VALUES])
def test_float16_rows_count_exactly_and_features_come_in_slices(values, monkeypatch):
    monkeypatch.setattr(kernel, "VALUES", values)
    rng = np.random.default_rng(1)
    a = rng.normal(size=(3, 2 * kernel.FEATURES + 5)).astype(np.float16)
    exact = a.astype(np.float64)
    sums = {"terms": a.shape[1], "dtype": "float64"}
    scale = np.abs(exact) @ np.abs(exact).T
    assert_close_sums(kernel.inner(a, a), exact @ exact.T, **sums, scale=scale)
    assert_close_sums(kernel.squared_norms(a), (exact**2).sum(axis=1), **sums)


def test_an_array_with_itself_is_as_with_its_copy():
    rows = np.random.default_rng(3).normal(size=(9, 2 * kernel.FEATURES)).astype(np.float16)
    alone = kernel.gaussian(rows, rows, 30.0)
    np.testing.assert_allclose(alone, kernel.gaussian(rows, rows.copy(), 30.0), rtol=1e-12)
    np.testing.assert_array_equal(alone, alone.T)
    np.testing.assert_array_equal(alone.diagonal(), 1)


def test_equal_rows_have_kernel_one():
    row = np.random.default_rng(2).normal(size=(1, 50))
    rows = np.repeat(row, 3, axis=0)
    assert kernel.gaussian(rows, rows, 1.0) == pytest.approx(np.ones((3, 3)), abs=1e-12)
    assert kernel.gaussian(rows, rows, 1.0).max() <= 1
