"""Nearest neighbours against a matrix of all distances."""

from functools import partial

import numpy as np
import pytest
from feature_files import array_of, blobs, make_pool, shuffled
from threadpoolctl import threadpool_limits

from performance import straightforward as plain
from vlselect.clusters import neighbours
from vlselect.clusters.embeddings import Embeddings

pytestmark = pytest.mark.numeric

LISTS = {"n_lists": None, "n_probe": 32, "memory_gb": 4.0, "seed": 0}
nearest = partial(neighbours.nearest, index="auto", **LISTS)


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def embeddings_of(folder, values, pool=None, shards=1):
    pool = make_pool(len(values)) if pool is None else pool
    return Embeddings(array_of(folder, values, shards), pool["sample_id"].to_numpy(object), False)


def all_pairs(embeddings, k):
    return plain.nearest(embeddings[np.arange(len(embeddings))], k)


def test_exact_search_finds_the_nearest(tmp_path):
    embeddings = embeddings_of(tmp_path, 30 + blobs(copies=40))  # far from the origin
    found, squared = nearest(embeddings, 5)
    expected = all_pairs(embeddings, 5)
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_allclose(squared, expected[1], rtol=1e-12)
    assert (squared[:, 0] == 0).sum() == 80


def test_inverted_lists_find_the_nearest_where_all_are_probed(tmp_path):
    embeddings = embeddings_of(tmp_path, blobs())
    found, squared = nearest(embeddings, 4, index="ivf", n_lists=8, n_probe=8)
    expected = all_pairs(embeddings, 4)
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_allclose(squared, expected[1], rtol=1e-12)


def test_lists_that_are_too_short_are_made_up_for(tmp_path):
    embeddings = embeddings_of(tmp_path, blobs(n=60))
    found, squared = nearest(embeddings, 5, index="ivf", n_lists=30, n_probe=1)
    assert np.isfinite(squared).all() and (np.diff(squared, axis=1) >= 0).all()
    for place, row in enumerate(found):
        assert place not in row and len(set(row)) == 5


@pytest.mark.parametrize("index", ["exact", "ivf"])
def test_neither_shards_nor_the_order_of_the_pool_nor_blocks_matter(tmp_path, monkeypatch, index):
    values, pool = blobs(copies=30), make_pool(300)
    options = {"index": index, "n_lists": 10, "n_probe": 3}
    whole = nearest(embeddings_of(tmp_path / "a", values, pool), 3, **options)
    order = np.random.default_rng(5).permutation(300)
    other = embeddings_of(tmp_path / "b", values[order], shuffled(pool, order), shards=3)
    np.testing.assert_array_equal(nearest(other, 3, **options), whole)
    monkeypatch.setattr(neighbours, "ROWS", 50)
    np.testing.assert_array_equal(nearest(other, 3, **options), whole)


def test_auto_changes_with_the_size_of_the_pool(tmp_path, monkeypatch):
    embeddings = embeddings_of(tmp_path, blobs())
    exact = nearest(embeddings, 3, index="exact")
    np.testing.assert_array_equal(nearest(embeddings, 3), exact)
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 299)
    lists = nearest(embeddings, 3, index="ivf", n_probe=2)
    np.testing.assert_array_equal(nearest(embeddings, 3, n_probe=2), lists)


def test_bad_input_is_an_error(tmp_path):
    embeddings = embeddings_of(tmp_path, blobs(n=10))
    with pytest.raises(ValueError, match="10 neighbours"):
        nearest(embeddings, 10)
    with pytest.raises(ValueError, match="'hnsw'"):
        nearest(embeddings, 3, index="hnsw")
