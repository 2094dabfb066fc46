"""The entry compute_influence on tiny gradients."""

import json

import compute_influence
import numpy as np
import pandas as pd
import pytest
from closeness import assert_close_sums
from usual_flags import usual

from vlselect.core import store
from vlselect.core.shard_files import shard_rows

FINGERPRINT = json.dumps({"type": "sjlt", "dim": 16, "seed": 0, "probe": "ab"})


def write_shards(folder, n_rows, n_shards=1, seed=0, projection=FINGERPRINT):
    values = np.random.default_rng(seed).normal(size=(n_rows, 16)).astype(np.float16) / 8
    paths = []
    for number in range(1, n_shards + 1):
        rows = shard_rows(n_rows, f"{number}-of-{n_shards}")
        header = {"rows": f"{rows.start}:{rows.stop}", "projection": projection, "model": "m"}
        paths.append(folder / f"shard-{number}-of-{n_shards}.safetensors")
        with store.ShardWriter(paths[-1], (len(rows), 16), np.float16, header) as writer:
            writer.write(slice(None), values[rows.start : rows.stop])
    return values, list(map(str, paths))


def arguments(folder, pool, tasks, groups, matrices=()):
    return [
        *usual(compute_influence),
        *("--pool", *pool, "--tasks", *tasks, "--validation", *tasks.values()),
        *("--groups", json.dumps(groups)),
        *("--out", *(str(folder / f"{name}.parquet") for name in [*tasks, *groups])),
        *("--out-matrices", *(str(folder / f"{name}_matrix.safetensors") for name in matrices)),
    ]


@pytest.fixture
def gradients(tmp_path):
    pool = write_shards(tmp_path / "pool", 200, 2)
    tasks = {
        name: write_shards(tmp_path / name, n, seed=n) for name, n in (("a", 5), ("b", 7), ("c", 9))
    }
    return (
        pool,
        {name: values for name, (values, _) in tasks.items()},
        {name: paths[0] for name, (_, paths) in tasks.items()},
    )


def test_a_table_for_every_task_and_group(tmp_path, gradients):
    (pool, shards), values, files = gradients
    compute_influence.main(arguments(tmp_path / "out", shards, files, {"g": ["a", "c"]}, files))
    influences = {}
    for name in ("a", "b", "c", "g"):
        frame = pd.read_parquet(tmp_path / f"out/{name}.parquet")
        assert list(frame.columns) == ["row", "influence"]
        assert frame["influence"].dtype == np.float32
        assert frame["row"].tolist() == list(range(200))
        influences[name] = frame["influence"].to_numpy()
    for name, rows in values.items():
        pairs = pool.astype(np.float64) @ rows.astype(np.float64).T
        lengths = np.linalg.norm(pool.astype(np.float64), axis=1, keepdims=True)
        scale = lengths * np.linalg.norm(rows.astype(np.float64), axis=1)  # (200, n)
        sums = {"terms": pool.shape[1]}
        assert_close_sums(influences[name], pairs.mean(axis=1), **sums, scale=scale.mean(axis=1))
        matrix = store.ShardedArray([tmp_path / f"out/{name}_matrix.safetensors"])
        assert_close_sums(matrix[:], pairs, **sums, scale=scale, stored="float16")
        assert matrix.only("task") == name
        assert matrix.only("projection") == FINGERPRINT
    assert np.array_equal(influences["g"], np.maximum(influences["a"], influences["c"]))


def test_two_runs_give_the_same_bytes(tmp_path, gradients):
    (_, shards), _, files = gradients
    for name in ("one", "two"):
        compute_influence.main(arguments(tmp_path / name, shards, files, {}))
    for name in files:
        one, two = (tmp_path / run / f"{name}.parquet" for run in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_mixed_fingerprints_are_refused_and_nothing_is_written(tmp_path, gradients):
    (_, shards), _, files = gradients
    other = FINGERPRINT.replace('"seed": 0', '"seed": 1')
    _, (files["b"],) = write_shards(tmp_path / "other", 7, projection=other)
    with pytest.raises(ValueError, match="seed"):
        compute_influence.main(arguments(tmp_path / "out", shards, files, {}))
    assert not list(tmp_path.glob("out/*"))


def test_files_must_match_tasks(tmp_path, gradients):
    (_, shards), _, files = gradients
    good = arguments(tmp_path / "out", shards, files, {})
    with pytest.raises(ValueError, match="do not match tasks and groups"):
        compute_influence.main([*good, "--groups", '{"g": ["a"]}'])
    with pytest.raises(ValueError, match="do not pair"):
        compute_influence.main([*good, "--tasks", "a", "b"])
    with pytest.raises(ValueError, match="1 matrix files for 3 tasks"):
        compute_influence.main([*good, "--out-matrices", str(tmp_path / "a_matrix.safetensors")])
