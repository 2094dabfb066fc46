"""Leverage scores against a full SVD of the centred matrix."""

from functools import partial

import numpy as np
import pytest
from array_files import poison, write_shards

from performance.straightforward import svd_leverage
from vlselect.core.store import ShardedArray
from vlselect.methods.maths import subspace
from vlselect.methods.maths.subspace import dominant_subspace

pytestmark = pytest.mark.numeric

leverage = partial(subspace.leverage, energy=0.9)


def make_rows(n=200, d=12, seed=0, dtype=np.float16):
    rng = np.random.default_rng(seed)
    scales = np.geomspace(3, 0.05, d)
    mixing = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (5 + (rng.normal(size=(n, d)) * scales) @ mixing).astype(dtype)


def svd_scores(rows, energy):
    return svd_leverage(rows.astype(np.float64), energy)


def shards_of(folder, values, shards=1):
    folder.mkdir(exist_ok=True)
    return ShardedArray(write_shards(folder, values, shards))


@pytest.mark.parametrize("energy", [0.3, 0.9, 0.999])
def test_scores_are_those_of_the_full_svd(tmp_path, energy):
    rows = make_rows()
    expected, k = svd_scores(rows, energy)
    scores = leverage(shards_of(tmp_path, rows), np.ones(200, bool), energy=energy)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert scores.sum() == pytest.approx(k, rel=1e-9)


def test_rows_without_image_play_no_part(tmp_path):
    rows = make_rows()
    include = np.random.default_rng(1).random(200) < 0.6
    rows[~include] = 1000
    scores = leverage(shards_of(tmp_path, rows), include)
    assert np.isnan(scores[~include]).all()
    np.testing.assert_allclose(scores[include], svd_scores(rows[include], 0.9)[0], rtol=1e-6)


def test_shards_change_no_bit_and_blocks_hardly_any(tmp_path, monkeypatch):
    rows, include = make_rows(n=500), np.arange(500) % 7 > 0
    whole = leverage(shards_of(tmp_path / "1", rows), include)
    parts = leverage(shards_of(tmp_path / "5", rows, shards=5), include)
    np.testing.assert_array_equal(whole, parts)
    monkeypatch.setattr(subspace, "ROWS", 60)
    small = shards_of(tmp_path / "5", rows, shards=5)
    np.testing.assert_allclose(leverage(small, include), whole, rtol=1e-9)


def test_order_of_rows_does_not_matter(tmp_path):
    rows = make_rows()
    order = np.random.default_rng(2).permutation(200)
    include = np.ones(200, bool)
    scores = leverage(shards_of(tmp_path / "a", rows), include)
    other = leverage(shards_of(tmp_path / "b", rows[order]), include)
    np.testing.assert_allclose(other, scores[order], rtol=1e-9)


def test_large_mean_costs_no_digits(tmp_path):
    rows = make_rows(dtype=np.float64)
    shifted = shards_of(tmp_path / "far", rows + 1e5)
    near = shards_of(tmp_path / "near", rows)
    include = np.ones(200, bool)
    np.testing.assert_allclose(leverage(shifted, include), leverage(near, include), rtol=1e-6)


def test_missing_directions_are_never_used(tmp_path):
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 10))  # rank 3 of 10
    found = dominant_subspace(shards_of(tmp_path, rows), np.ones(50, bool), 1.0)
    assert found.directions.shape == (10, 3)
    assert found.energy == 1
    scores = leverage(shards_of(tmp_path, rows), np.ones(50, bool), energy=1.0)
    assert scores.sum() == pytest.approx(3, rel=1e-9)
    assert scores.max() <= 1 + 1e-9


def test_fewer_rows_than_columns(tmp_path):
    rows = make_rows(n=6, d=40)
    expected, k = svd_scores(rows, 0.9)
    scores = leverage(shards_of(tmp_path, rows), np.ones(6, bool))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_fewest_directions_that_hold_the_energy(tmp_path):
    rows = make_rows()
    _, k = svd_scores(rows, 0.9)
    found = dominant_subspace(shards_of(tmp_path, rows), np.ones(200, bool), 0.9)
    assert len(found.singular_values) == k and found.energy >= 0.9
    exact = rows.astype(np.float64)
    sigma = np.linalg.svd(exact - exact.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(found.singular_values, sigma[:k], rtol=1e-9)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1234.0])
def test_equal_rows_are_an_error(tmp_path, value):
    rows = np.full((30, 4), value, np.float16)
    with pytest.raises(ValueError, match="all 30 representations are equal"):
        leverage(shards_of(tmp_path, rows), np.ones(30, bool))


def test_bad_input_is_refused(tmp_path):
    array = shards_of(tmp_path, make_rows(n=5))
    with pytest.raises(ValueError, match="two samples"):
        leverage(array, np.array([True, False, False, False, False]))
    with pytest.raises(ValueError, match="5 rows"):
        leverage(array, np.ones(4, bool))
    for energy in (0, 1.1):
        with pytest.raises(ValueError, match="energy"):
            leverage(array, np.ones(5, bool), energy=energy)


def test_a_row_that_is_not_finite_is_named_if_it_counts(tmp_path):
    array = poison(ShardedArray(write_shards(tmp_path, make_rows(), 1)), 150)
    with pytest.raises(ValueError, match="row 150 is not finite"):
        leverage(array, np.ones(200, bool))
    scores = leverage(array, np.arange(200) != 150)
    assert np.isfinite(scores).sum() == 199
