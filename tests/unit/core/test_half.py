"""Conversion of float16 against numpy's own, for every float16 number."""

import numpy as np
import pytest

from vlselect.core import half

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


@pytest.mark.parametrize("values", [1000, half.VALUES])
def test_every_finite_number_has_the_bits_that_numpy_gives(values, monkeypatch):
    monkeypatch.setattr(half, "VALUES", values)
    finite = EVERY[np.isfinite(EVERY)].reshape(2, -1)
    assert finite.size == 63488
    out = np.full(finite.shape, np.nan, np.float32)
    half.to_float32(finite, out)
    assert out.tobytes() == finite.astype(np.float32).tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_types_are_as_numpy_has_them(dtype):
    values = np.random.default_rng(0).normal(size=(3, 5)).astype(dtype)
    out = np.empty(values.shape, np.float32)
    half.to_float32(values, out)
    np.testing.assert_array_equal(out, values.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_that_are_not_finite_are_found(dtype):
    column = EVERY.astype(dtype)[:, None]
    rows = np.concatenate([np.ones_like(column), column], axis=1)
    np.testing.assert_array_equal(half.finite_rows(rows), np.isfinite(EVERY))
    assert half.finite_rows(rows[:, :0]).all()
