"""Transferability against loops over pairs of centroids."""

import logging
from functools import partial

import numpy as np
import pytest

from vlselect.clusters import transferability as module
from vlselect.clusters.transferability import text_half

pytestmark = pytest.mark.numeric

transferability = partial(module.transferability, variant="released", max_cosine=0.9)

LAYERS, WIDTH = 3, 4


def make_centroids(n, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2 * LAYERS * WIDTH) + spread * rng.normal(size=(n, 2 * LAYERS * WIDTH))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return a @ b / np.sqrt(a @ a) / np.sqrt(b @ b)


def by_hand(centroid):
    """Return the text values of each layer by plain indexing."""
    return np.concatenate(
        [centroid[layer * 2 * WIDTH + WIDTH :][:WIDTH] for layer in range(LAYERS)]
    )


def test_text_half_is_the_second_part_of_each_layer():
    row = np.array([[10, 11, 20, 21, 12, 13, 22, 23]])
    np.testing.assert_array_equal(text_half(row, 2), [[20, 21, 22, 23]])


def test_paper_is_the_mean_cosine_to_all():
    centroids = make_centroids(9)
    expected = [np.mean([cosine(a, b) for b in centroids]) for a in centroids]
    np.testing.assert_allclose(
        transferability(centroids, LAYERS, variant="paper"), expected, rtol=1e-10
    )


def test_released_looks_at_text_and_leaves_out_near_pairs(monkeypatch):
    centroids = make_centroids(30, spread=0.6)
    expected, dropped = [], 0
    for a in centroids:
        cosines = np.array([cosine(by_hand(a), by_hand(b)) for b in centroids])
        dropped += (cosines > 0.8).sum()
        expected.append(cosines[cosines <= 0.8].mean())
    assert len(centroids) < dropped < len(centroids) ** 2  # more than the diagonal, not all
    result = transferability(centroids, LAYERS, max_cosine=0.8)
    np.testing.assert_allclose(result, expected, rtol=1e-10)
    monkeypatch.setattr(module, "ROWS", 7)
    np.testing.assert_allclose(
        transferability(centroids, LAYERS, max_cosine=0.8), expected, rtol=1e-10
    )


def test_released_does_not_depend_on_the_visual_half():
    centroids = make_centroids(8)
    other = centroids.copy().reshape(8, LAYERS, 2, WIDTH)
    other[:, :, 0] = 0
    np.testing.assert_array_equal(
        transferability(centroids, LAYERS), transferability(other.reshape(8, -1), LAYERS)
    )


def test_order_of_clusters_does_not_matter():
    centroids = make_centroids(20, spread=0.7)
    order = np.random.default_rng(0).permutation(20)
    for variant in ("released", "paper"):
        here = transferability(centroids, LAYERS, variant=variant)
        np.testing.assert_allclose(
            transferability(centroids[order], LAYERS, variant=variant), here[order], rtol=1e-12
        )


def test_cluster_without_pairs_gets_the_limit_and_is_logged(caplog):
    centroids = np.repeat(make_centroids(1), 3, axis=0)
    with caplog.at_level(logging.WARNING):
        result = transferability(centroids, LAYERS)
    np.testing.assert_array_equal(result, [0.9] * 3)
    assert "3 of 3 clusters" in caplog.text


def test_bad_input_is_named():
    centroids = make_centroids(3)
    with pytest.raises(ValueError, match="'official'"):
        transferability(centroids, LAYERS, variant="official")
    with pytest.raises(ValueError, match="width 24 .* 5 layers"):
        transferability(centroids, 5)
    centroids[1] = 0
    with pytest.raises(ValueError, match="text half of the centroid of cluster 1"):
        transferability(centroids, LAYERS)
