"""The span of validation gradients: inner products with them are those of whole gradients."""

import numpy as np
import pytest
from closeness import assert_close_vectors

from vlselect.core.errors import InputError
from vlselect.gradients.span import coordinates, orthonormal_basis

K = 200


@pytest.fixture
def parts():
    """Gradients of three tasks in 40 of 200 dimensions, some of them copies of others."""
    rng = np.random.default_rng(0)
    space = np.linalg.qr(rng.normal(size=(K, 40)))[0].T
    parts = [rng.normal(size=(n, 40)) @ space for n in (30, 5, 25)]
    parts[2][:5] = parts[1]
    return [(part / np.linalg.norm(part, axis=1)[:, None]).astype(np.float32) for part in parts]


@pytest.fixture
def pool():
    return np.random.default_rng(1).normal(size=(50, K)).astype(np.float32)


def test_whole_span_keeps_every_inner_product(parts, pool):
    basis, energy = orthonormal_basis(parts, 1024)
    assert basis.shape == (40, K) and energy == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(basis @ basis.T, np.eye(40), atol=1e-6)
    for part in parts:
        within = coordinates(pool, basis) @ coordinates(part, basis).T
        scale = np.linalg.norm(pool, axis=1)
        assert_close_vectors(within, pool @ part.T, terms=2 * K, scale=scale * len(part) ** 0.5)


def test_a_smaller_one_keeps_the_means_and_the_largest_of_the_rest(parts, pool):
    kept = []
    for dimensions in (3, 10, 25):
        basis, energy = orthonormal_basis(parts, dimensions)
        assert len(basis) == dimensions
        for part in parts:
            mean = part.mean(axis=0)
            found = coordinates(pool, basis) @ coordinates(mean[None], basis).T
            expected = pool @ mean[:, None]
            assert_close_vectors(found, expected, terms=2 * K, scale=np.linalg.norm(pool, axis=1))
        kept.append(energy)
    assert 0 < kept[0] < kept[1] < kept[2] < 1
    whole = np.concatenate(parts).astype(np.float64)
    squares = np.linalg.svd(whole, compute_uv=False) ** 2
    assert kept[2] > 0.95 * squares[:25].sum() / squares.sum()  # the most that 25 could keep


def test_fewer_directions_than_tasks_are_refused(parts):
    with pytest.raises(InputError, match=r"gradients\.span is 2, but 3 tasks"):
        orthonormal_basis(parts, 2)


def test_tasks_of_one_mean_share_a_direction(parts):
    basis, energy = orthonormal_basis([parts[1], parts[1]], 2)
    assert len(basis) == 2 and 0 < energy < 1
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-6)
