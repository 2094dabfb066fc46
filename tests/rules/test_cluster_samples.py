"""scripts/cluster_samples.py: clusters in any order of the pool, without refused samples."""

import json

import cluster_samples
import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from feature_files import blobs

SETTINGS = {"n_clusters": 5, "iterations": 20, "points_per_centroid": 256, "memory_gb": 1}


def run(folder, ids, values, *, seed=0, shards=2, refused=(), **settings):
    """Cluster the samples; return the table."""
    folder.mkdir(parents=True)
    pd.DataFrame({"sample_id": ids}).to_parquet(folder / "samples.parquet")
    flags = ["--samples", folder / "samples.parquet", "--out", folder / "out.parquet"]
    flags += ["--features", *write_shards(folder, values, shards, refused)]
    flags += ["--parameters", json.dumps(SETTINGS | settings), "--seed", seed, "--threads", 1]
    cluster_samples.main([*map(str, flags)])
    return pd.read_parquet(folder / "out.parquet")


@pytest.fixture(scope="module")
def ids():
    return np.array([f"s{i:04d}" for i in np.random.default_rng(3).permutation(300)], dtype=object)


def test_samples_are_with_those_of_their_direction(ids, tmp_path):
    values = np.repeat(np.eye(5), 60, axis=0).astype(np.float16) * 3
    values += np.random.default_rng(0).normal(size=values.shape).astype(np.float16) / 20
    found = run(tmp_path / "a", ids, values)
    assert list(found) == ["row", "cluster", "distance"]
    assert found["row"].tolist() == list(range(300)) and found["distance"].between(0, 0.1).all()
    own = found["cluster"].to_numpy().reshape(5, 60)
    assert (own == own[:, :1]).all() and len(set(own[:, 0])) == 5


def test_neither_shards_nor_the_order_of_the_pool_matter_but_the_seed_does(ids, tmp_path):
    values = blobs(noise=1.0)
    one = run(tmp_path / "a", ids, values)
    order = np.random.default_rng(1).permutation(300)
    two = run(tmp_path / "b", ids[order], values[order], shards=3)
    for column in ("cluster", "distance"):
        np.testing.assert_array_equal(two[column], one[column].to_numpy()[order])
    three = run(tmp_path / "c", ids, values, seed=1)
    assert not np.array_equal(three["cluster"], one["cluster"])


def test_refused_samples_are_in_no_cluster_and_named(ids, tmp_path):
    values, gone = blobs(), [4, 130]
    found = run(tmp_path / "a", ids, values, refused=gone)
    assert found["cluster"][found["cluster"] < 0].index.tolist() == gone
    assert found["distance"].isna().to_numpy().nonzero()[0].tolist() == gone
    assert found.attrs["refused"] == gone
    kept = np.setdiff1d(np.arange(300), gone)
    alone = run(tmp_path / "b", ids[kept], values[kept])
    np.testing.assert_array_equal(found["cluster"].to_numpy()[kept], alone["cluster"])
