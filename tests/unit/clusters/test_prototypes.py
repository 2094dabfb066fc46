"""Prototypes: k-means of the pool in the order of sample ids."""

import logging
from functools import partial

import numpy as np
import pytest
from closeness import assert_close_sums
from feature_files import array_of, blobs, make_pool
from threadpoolctl import threadpool_limits

from vlselect.clusters import prototypes
from vlselect.clusters.embeddings import Embeddings

pytestmark = pytest.mark.numeric

LIMITS = {"points_per_centroid": 256, "memory_gb": 4.0}
nearest_prototype = partial(prototypes.nearest_prototype, iterations=50, seed=0, **LIMITS)


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def embeddings_of(folder, values, pool=None, shards=1):
    pool = make_pool(len(values)) if pool is None else pool
    return Embeddings(array_of(folder, values, shards), pool["sample_id"].to_numpy(object), True)


def test_distance_is_to_the_mean_direction_of_the_cluster(tmp_path):
    embeddings = embeddings_of(tmp_path, blobs())
    cluster, distance = nearest_prototype(embeddings, 8, iterations=100)
    unit = embeddings[np.arange(300)].astype(np.float64)
    for c in np.unique(cluster):
        mean = unit[cluster == c].sum(axis=0)
        cosine = unit[cluster == c] @ mean / np.linalg.norm(mean)
        kept = {"terms": 300, "stored": "float16"}  # the training data of k-means
        assert_close_sums(distance[cluster == c], 1 - cosine, **kept, scale=1)


def test_count_follows_the_pool_and_seeds_give_other_clusters(tmp_path):
    embeddings = embeddings_of(tmp_path, blobs())
    cluster, distance = nearest_prototype(embeddings, None)
    assert cluster.max() < 5  # 300 / 66.5
    again = nearest_prototype(embeddings, None)
    np.testing.assert_array_equal(again, (cluster, distance))
    assert not np.array_equal(nearest_prototype(embeddings, None, seed=1)[1], distance)


def test_collapse_is_a_warning_and_too_many_clusters_an_error(tmp_path, caplog):
    nearly_equal = np.ones((100, 8), np.float16)
    nearly_equal[:, 0] += np.linspace(0, 0.05, 100).astype(np.float16)
    with caplog.at_level(logging.WARNING):
        nearest_prototype(embeddings_of(tmp_path, nearly_equal), 4)
    assert "nearly parallel" in caplog.text
    with pytest.raises(ValueError, match="101 clusters"):
        nearest_prototype(embeddings_of(tmp_path, nearly_equal), 101)
