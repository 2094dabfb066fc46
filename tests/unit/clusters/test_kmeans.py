"""Spherical k-means against plain NumPy, for any number of threads, and its checks."""

import logging
from functools import partial

import numpy as np
import pytest
from array_files import poison, write_shards
from closeness import assert_close_sums, assert_close_vectors, rounding
from threadpoolctl import threadpool_limits

from performance.straightforward import lloyd
from vlselect.clusters import kmeans
from vlselect.core.store import ShardedArray

pytestmark = pytest.mark.numeric

train = partial(kmeans.train, iterations=50, seed=0, device="cpu")
assign = partial(kmeans.assign, device="cpu")


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread: waiting threads make small k-means slow on a busy machine."""
    with threadpool_limits(1):
        yield


def blobs(n=300, k=6, d=16, noise=0.05, seed=0):
    """Return float16 unit rows around k directions, and the direction of each."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(d, d)))[0][:k]
    label = rng.integers(0, k, size=n)
    rows = centres[label] + noise * rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16), label


def array_of(folder, values, shards=1):
    folder.mkdir(exist_ok=True)
    return ShardedArray(write_shards(folder, values, shards))


def test_centroids_are_a_fixed_point_of_lloyds_step():
    samples, _ = blobs(noise=0.3)
    centroids = train(samples, 8, iterations=50)
    assert centroids.shape == (8, 16) and centroids.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, rtol=rounding(16))
    moved, _ = lloyd(samples.astype(np.float64), centroids.astype(np.float64))
    assert_close_vectors(centroids, moved, terms=300)


def test_separate_directions_are_found(tmp_path):
    samples, label = blobs()
    # more centroids than directions, so that a poor start differs from a wrong answer
    centroids = train(samples, 12)
    cluster, _ = assign(array_of(tmp_path, samples), centroids)
    for c in np.unique(cluster):
        assert len(np.unique(label[cluster == c])) == 1


@pytest.mark.parametrize("values", [0, kmeans.VALUES])
def test_same_seed_same_bits_for_any_number_of_threads(values, monkeypatch):
    monkeypatch.setattr(kmeans, "VALUES", values)
    samples, _ = blobs(n=4200, k=10, d=32, noise=0.4)  # more than one block to decode
    results = []
    for threads in (1, 2, 1):
        with threadpool_limits(threads):
            results.append(train(samples, 12, iterations=6))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    assert not np.array_equal(results[0], train(samples, 12, iterations=6, seed=1))


def test_few_rows_give_the_same_bits_as_if_they_were_many(monkeypatch):
    samples, _ = blobs(n=4200, k=10, d=32, noise=0.4)
    few = train(samples, 12, iterations=6)
    monkeypatch.setattr(kmeans, "VALUES", samples.size - 1)
    np.testing.assert_array_equal(train(samples, 12, iterations=6), few)


def test_assignment_is_the_highest_cosine(tmp_path):
    samples, _ = blobs(noise=0.5)
    centroids = train(samples, 7)
    cluster, distance = assign(array_of(tmp_path, samples), centroids)
    exact = samples.astype(np.float64)
    cosines = exact @ centroids.astype(np.float64).T / np.linalg.norm(exact, axis=1)[:, None]
    np.testing.assert_array_equal(cluster, cosines.argmax(axis=1))
    assert_close_sums(distance, 1 - cosines.max(axis=1), terms=16, scale=1)
    assert cluster.dtype == np.int32 and distance.dtype == np.float32


def test_assignment_does_not_depend_on_shards(tmp_path, monkeypatch):
    samples, _ = blobs(noise=0.5)
    centroids = train(samples, 7)
    monkeypatch.setattr(kmeans, "ROWS", 100)
    whole = assign(array_of(tmp_path / "1", samples), centroids)
    parts = assign(array_of(tmp_path / "3", samples, shards=3), centroids)
    np.testing.assert_array_equal(whole, parts)


def test_activations_that_are_not_finite_are_named(tmp_path):
    samples, _ = blobs(noise=0.5)
    centroids = train(samples, 7)
    with pytest.raises(ValueError, match="the activations of row 5 are not finite"):
        assign(poison(array_of(tmp_path, samples), 5), centroids)
    samples[2, 1] = np.inf
    with pytest.raises(ValueError, match="the activations of row 30 are not finite"):
        kmeans.require_finite(samples[:4], [10, 20, 30, 40])


def test_ties_go_to_the_lowest_cluster(tmp_path):
    centroids = np.eye(4, dtype=np.float32)[[2, 0, 0, 1]]
    samples = np.array([[1, 0, 0, 0], [1, 1, 0, 0]] * 20, np.float16)
    cluster, _ = assign(array_of(tmp_path, samples), centroids)
    np.testing.assert_array_equal(cluster, [1, 1] * 20)


def test_zero_activations_are_an_error(tmp_path):
    samples, _ = blobs()
    samples[123] = 0
    with pytest.raises(ValueError, match="row 123 "):
        assign(array_of(tmp_path, samples), np.eye(16, dtype=np.float32))


def test_all_rows_train_where_they_fit():
    np.testing.assert_array_equal(kmeans.training_rows(100, 8, 5, 256, 4, 0), np.arange(100))


def test_training_rows_are_limited_per_centroid_and_drawn_by_seed():
    rows = kmeans.training_rows(1000, 8, 5, 40, 4, 0)
    assert len(np.unique(rows)) == 200 and (np.diff(rows) > 0).all() and rows.max() < 1000
    np.testing.assert_array_equal(rows, kmeans.training_rows(1000, 8, 5, 40, 4, 0))
    assert not np.array_equal(rows, kmeans.training_rows(1000, 8, 5, 40, 4, 1))


def test_memory_limit_shrinks_the_training_rows_and_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        rows = kmeans.training_rows(1000, 500, 5, 256, 1e-4, 0)  # 100 kB hold 100 rows
    assert len(rows) == 100
    assert "100 rows instead of 1000" in caplog.text
    assert "20.0 training rows per centroid" in caplog.text


def test_impossible_numbers_of_clusters_are_errors():
    with pytest.raises(ValueError, match="cannot make 11 clusters from 10 samples"):
        kmeans.training_rows(10, 8, 11, 256, 4, 0)
    with pytest.raises(ValueError, match="0 clusters"):
        kmeans.training_rows(10, 8, 0, 256, 4, 0)
    with pytest.raises(ValueError, match="raise memory_gb"):
        kmeans.training_rows(1000, 500, 200, 256, 1e-4, 0)


def test_sound_clusters_pass():
    seen = kmeans.examine(np.eye(5, dtype=np.float32), np.array([5, 4, 6, 3, 5]))
    assert seen.collapse == () and seen.empty == 0 and seen.twins == 0
    assert seen.lowest_cosine == 0 and seen.top_share == pytest.approx(6 / 23)


def test_one_big_cluster_is_a_collapse():
    sizes = np.ones(100, int)
    sizes[7] = 496
    seen = kmeans.examine(np.eye(100, dtype=np.float32), sizes)
    assert seen.collapse == ("1 of 100 clusters hold 83% of the samples",)


def test_parallel_centroids_are_a_collapse():
    rows = np.ones((4, 8)) + 0.01 * np.random.default_rng(0).normal(size=(4, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    (reason,) = kmeans.examine(rows.astype(np.float32), np.full(4, 9)).collapse
    assert "nearly parallel" in reason


def test_many_empty_clusters_are_a_collapse_and_twins_are_counted():
    centroids = np.eye(6, dtype=np.float32)[[0, 1, 1, 2, 1, 3]]
    seen = kmeans.examine(centroids, np.array([3, 3, 3, 0, 3, 3]))
    assert (seen.empty, seen.twins, seen.collapse) == (1, 2, ())
    seen = kmeans.examine(centroids, np.array([3, 0, 3, 0, 0, 3]))
    assert seen.collapse == ("3 of 6 clusters are empty",)


@pytest.mark.parametrize("sizes", [[10], [6, 4]])
def test_few_clusters_are_not_a_collapse_by_their_number_alone(sizes):
    seen = kmeans.examine(np.eye(2, dtype=np.float32)[: len(sizes)], np.array(sizes))
    assert seen.collapse == ()


def test_empty_clusters_are_dropped_and_the_rest_renumbered():
    centroids = np.arange(8, dtype=np.float32).reshape(4, 2)
    cluster = np.array([3, 1, 1, 3], np.int32)
    kept, renumbered = kmeans.drop_empty(centroids, cluster, np.array([0, 2, 0, 2]))
    np.testing.assert_array_equal(kept, centroids[[1, 3]])
    np.testing.assert_array_equal(renumbered, [1, 0, 0, 1])
    assert renumbered.dtype == np.int32


def test_a_gpu_that_is_not_there_is_an_error_not_a_fallback(monkeypatch):
    monkeypatch.delattr(kmeans.faiss, "StandardGpuResources", raising=False)
    with pytest.raises(ValueError, match="needs a GPU"):
        train(blobs()[0], 4, device="gpu")
    with pytest.raises(ValueError, match="'tpu'"):
        train(blobs()[0], 4, device="tpu")
