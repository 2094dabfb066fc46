"""The entry script compared with the definitions of transferability and density."""

import numpy as np
import pandas as pd
import pytest
import summarise_clusters
from array_files import write_shards
from usual_flags import usual

from vlselect.core import store


def make_files(folder, shards=1, layers="[1, 3]"):
    """Write ninety samples of two layers of width 4, in three clusters."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    values = rng.normal(size=(90, 16))
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)
    cluster = np.concatenate([np.arange(3), rng.integers(0, 3, 87)]).astype(np.int32)
    centroids = np.array([values[cluster == c].astype(float).mean(axis=0) for c in range(3)])
    centroids = (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).astype(np.float32)
    shard_paths = write_shards(folder, values, shards, layers=layers)
    path = folder / "centroids.safetensors"
    with store.ShardWriter(path, centroids.shape, np.float32, {"rows": "0:3"}) as writer:
        writer.write(slice(None), centroids)
    frame = pd.DataFrame({"row": np.arange(90), "cluster": cluster})
    store.write_parquet(frame, folder / "assignments.parquet")
    return shard_paths, values, cluster, centroids


def run(folder, shard_paths, *flags):
    summarise_clusters.main(
        [
            *usual(summarise_clusters),
            *("--activations", *map(str, shard_paths)),
            *("--assignments", str(folder / "assignments.parquet")),
            *("--centroids", str(folder / "centroids.safetensors")),
            *("--out", str(folder / "summary.parquet"), *flags),
        ]
    )
    return pd.read_parquet(folder / "summary.parquet")


def kernel_mean(rows, itself):
    values = [
        np.exp(-np.square(p - q).sum() / 2)
        for i, p in enumerate(rows)
        for j, q in enumerate(rows)
        if itself or i != j
    ]
    return np.mean(values)


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_summary_follows_the_definitions(tmp_path, variant):
    paths, values, cluster, centroids = make_files(tmp_path / "a")
    summary = run(tmp_path / "a", paths, "--variant", variant)
    assert list(summary.columns) == ["cluster", "size", "transferability", "density"]
    np.testing.assert_array_equal(summary["size"], np.bincount(cluster))
    released = variant == "released"
    vectors = centroids.astype(float)
    if released:
        vectors = np.concatenate([vectors[:, 4:8], vectors[:, 12:16]], axis=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    if released:
        cosines[cosines > 0.9] = np.nan
    np.testing.assert_allclose(summary["transferability"], np.nanmean(cosines, axis=1), rtol=1e-6)
    expected = [kernel_mean(values[cluster == c].astype(float), released) for c in range(3)]
    np.testing.assert_allclose(summary["density"], expected, rtol=1e-9)


def test_shards_give_the_same_bytes(tmp_path):
    for name, shards in (("1", 1), ("2", 2)):
        run(tmp_path / name, make_files(tmp_path / name, shards)[0])
    one, two = (tmp_path / name / "summary.parquet" for name in ("1", "2"))
    assert one.read_bytes() == two.read_bytes()


def test_files_that_do_not_fit_are_errors(tmp_path):
    paths, _, cluster, _ = make_files(tmp_path / "a")
    short = pd.DataFrame({"row": np.arange(89), "cluster": cluster[:89]})
    store.write_parquet(short, tmp_path / "a" / "assignments.parquet")
    with pytest.raises(ValueError, match="rows 0 to 89"):
        run(tmp_path / "a", paths)
    gap = pd.DataFrame({"row": np.arange(90), "cluster": np.where(cluster == 1, 0, cluster)})
    store.write_parquet(gap, tmp_path / "a" / "assignments.parquet")
    with pytest.raises(ValueError, match="3 centroids"):
        run(tmp_path / "a", paths)


def test_layers_that_do_not_fit_the_width_are_an_error(tmp_path):
    paths, *_ = make_files(tmp_path / "a", layers="[1, 2, 3]")
    with pytest.raises(ValueError, match="width 16 .* 3 layers"):
        run(tmp_path / "a", paths)
