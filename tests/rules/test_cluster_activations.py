"""The entry script: files, headers, shard count, collapse."""

import cluster_activations
import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from usual_flags import usual

from vlselect.core.store import ShardedArray

HEADER = {"run": "r", "model": "m", "revision": "", "layers": "[1, 3]", "variant": "released"}


def directions(n=200, k=5, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(16, 16)))[0][:k]
    rows = centres[np.arange(n) % k] + 0.1 * rng.normal(size=(n, 16))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def run(folder, values, *flags, shards=1):
    folder.mkdir()
    paths = write_shards(folder, values, shards, **HEADER)
    cluster_activations.main(
        [
            *usual(cluster_activations),
            *("--activations", *map(str, paths)),
            *("--out-assignments", str(folder / "assignments.parquet")),
            *("--out-centroids", str(folder / "centroids.safetensors"), *flags),
        ]
    )
    return folder


def test_assignments_and_centroids_belong_together(tmp_path):
    values = directions()
    folder = run(tmp_path / "a", values, "--n-clusters", "8")
    frame = pd.read_parquet(folder / "assignments.parquet")
    centroids = ShardedArray([folder / "centroids.safetensors"])
    assert list(frame.columns) == ["row", "cluster", "distance"]
    np.testing.assert_array_equal(frame["row"], np.arange(200))
    cosines = values.astype(np.float64) @ centroids[:].T
    np.testing.assert_array_equal(frame["cluster"], cosines.argmax(axis=1))
    assert sorted(set(frame["cluster"])) == list(range(len(centroids)))
    header = centroids.metadata[0]
    assert header["requested"] == "8" and header["collapse"] == ""
    assert (
        header["training_rows"] == "200" and header["seed"] == "0" and header["layers"] == "[1, 3]"
    )


def test_shards_and_a_second_run_give_the_same_bytes(tmp_path):
    values = directions()
    one = run(tmp_path / "1", values, "--n-clusters", "8")
    three = run(tmp_path / "3", values, "--n-clusters", "8", shards=3)
    for name in ("assignments.parquet", "centroids.safetensors"):
        assert (one / name).read_bytes() == (three / name).read_bytes()


def test_a_66th_of_the_pool_is_the_default(tmp_path):
    folder = run(tmp_path / "a", directions(n=266, k=4))
    assert ShardedArray([folder / "centroids.safetensors"]).metadata[0]["requested"] == "4"


def test_empty_clusters_are_left_out_and_named(tmp_path, capsys):
    values = np.repeat(np.eye(16, dtype=np.float16)[:5], 10, axis=0)  # five distinct rows
    folder = run(tmp_path / "a", values, "--n-clusters", "7")
    frame = pd.read_parquet(folder / "assignments.parquet")
    centroids = ShardedArray([folder / "centroids.safetensors"])
    assert sorted(set(frame["cluster"])) == list(range(len(centroids)))
    empty = int(centroids.metadata[0]["empty"])
    assert len(centroids) == 7 - empty <= 5
    assert f"{empty} clusters are empty" in capsys.readouterr().err


def test_collapse_is_an_error_unless_told_to_warn(tmp_path, capsys):
    values = np.ones((100, 16)) + 0.001 * np.random.default_rng(0).normal(size=(100, 16))
    values = (values / 4).astype(np.float16)
    with pytest.raises(ValueError, match="collapsed: .*nearly parallel"):
        run(tmp_path / "a", values, "--n-clusters", "4")
    assert not (tmp_path / "a" / "assignments.parquet").exists()
    folder = run(tmp_path / "b", values, "--n-clusters", "4", "--on-collapse", "warn")
    header = ShardedArray([folder / "centroids.safetensors"]).metadata[0]
    assert "nearly parallel" in header["collapse"]
    assert "have collapsed" in capsys.readouterr().err


def test_more_clusters_than_samples_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="cannot make 201 clusters from 200 samples"):
        run(tmp_path / "a", directions(), "--n-clusters", "201")
