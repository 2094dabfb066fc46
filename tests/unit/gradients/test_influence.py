"""Influence against all pairs in float64, with the same bits for any number of shards."""

import json

import array_files
import numpy as np
import pytest
from array_files import poison
from closeness import assert_close_sums

from vlselect.core import store
from vlselect.gradients import influence

pytestmark = pytest.mark.numeric

FINGERPRINT = json.dumps({"type": "sjlt", "dim": 32, "seed": 0, "probe": "ab"})


def unit_rows(n_rows, width, seed):
    values = np.random.default_rng(seed).normal(size=(n_rows, width))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


def write_shards(folder, values, n_shards=1, **metadata):
    metadata = {"projection": FINGERPRINT, "model": "m", "revision": ""} | metadata
    return store.ShardedArray(array_files.write_shards(folder, values, n_shards, **metadata))


def test_influence_agrees_with_all_pairs_in_float64(tmp_path):
    pool = unit_rows(300, 512, 0)
    tasks = [unit_rows(n, 512, n) for n in (7, 40)]
    table = influence.compute(
        write_shards(tmp_path / "pool", pool),
        [write_shards(tmp_path / str(i), values) for i, values in enumerate(tasks)],
    )
    assert table.shape == (300, 2)
    assert table.dtype == np.float32
    for column, values in zip(table.T, tasks, strict=True):
        pairs = pool.astype(np.float64) @ values.astype(np.float64).T
        sizes = np.linalg.norm(values.astype(np.float64).mean(axis=0))  # of unit rows
        assert_close_sums(column, pairs.mean(axis=1), terms=512, scale=sizes)


def test_shards_do_not_change_a_bit(tmp_path):
    pool, task = unit_rows(9000, 32, 1), unit_rows(150, 32, 2)
    tables = []
    for n_shards in (1, 5, 3):
        folder = tmp_path / str(n_shards)
        sharded = write_shards(folder / "pool", pool, n_shards)
        tables.append(influence.compute(sharded, [write_shards(folder / "t", task, n_shards)]))
    assert np.array_equal(tables[0], tables[1])
    assert np.array_equal(tables[0], tables[2])


def test_rows_move_with_the_pool(tmp_path):
    pool, task = unit_rows(500, 32, 1), write_shards(tmp_path / "t", unit_rows(9, 32, 2))
    order = np.random.default_rng(0).permutation(500)
    here = influence.compute(write_shards(tmp_path / "a", pool), [task])
    there = influence.compute(write_shards(tmp_path / "b", pool[order]), [task])
    assert_close_sums(there, here[order], terms=32, scale=1)


def test_matrices_hold_every_pair_and_change_no_influence(tmp_path):
    pool = write_shards(tmp_path / "pool", unit_rows(5000, 32, 0), 2)
    tasks = [write_shards(tmp_path / str(n), unit_rows(n, 32, n)) for n in (3, 6)]
    paths = [tmp_path / f"{n}_matrix.safetensors" for n in (3, 6)]
    with (
        store.ShardWriter(paths[0], (5000, 3), np.float16, {}) as first,
        store.ShardWriter(paths[1], (5000, 6), np.float16, {}) as second,
    ):
        table = influence.compute(pool, tasks, [first, second])
    assert np.array_equal(table, influence.compute(pool, tasks))
    for path, task in zip(paths, tasks, strict=True):
        pairs = pool[:].astype(np.float64) @ task[:].astype(np.float64).T
        found = store.ShardedArray([path])[:]
        assert_close_sums(found, pairs, terms=32, stored="float16", scale=1)


def test_a_row_that_is_not_finite_is_named(tmp_path):
    good = write_shards(tmp_path / "good", unit_rows(4200, 8, 0))
    bad = poison(write_shards(tmp_path / "bad", unit_rows(4200, 8, 1)), 4100)
    with pytest.raises(ValueError, match=r"bad.*: pool gradient of row 4100 is not finite"):
        influence.compute(bad, [good])
    with pytest.raises(ValueError, match=r"bad.*: validation gradient of row 4100 is not finite"):
        influence.compute(good, [bad])


def test_no_validation_gradients_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no validation gradients"):
        influence.mean_gradient(write_shards(tmp_path, np.empty((0, 8), np.float16)))


def test_a_group_takes_the_maximum_over_its_subtasks():
    columns = {"a": np.array([1.0, 2.0]), "b": np.array([0.0, 5.0]), "c": np.array([9.0, 9.0])}
    result = influence.with_groups(columns, {"g": ["a", "b"]})
    assert list(result) == ["a", "b", "c", "g"]
    assert result["g"].tolist() == [1.0, 5.0]


@pytest.mark.parametrize("groups", [{"a": ["a"]}, {"g": []}, {"g": ["a", "z"]}])
def test_groups_that_do_not_fit_are_errors(groups):
    with pytest.raises(ValueError, match="does not fit"):
        influence.with_groups({"a": np.zeros(2)}, groups)


OTHER = json.dumps({"type": "sjlt", "dim": 32, "seed": 1, "probe": "cd"})


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"projection": OTHER}, "seed"),
        ({"model": "n"}, "'model': m, n"),
        ({"warm_up": "x"}, "'warm_up'"),
    ],
)
def test_gradients_of_different_origin_are_refused(tmp_path, metadata, message):
    values = unit_rows(4, 8, 0)
    arrays = {"pool": write_shards(tmp_path / "a", values)}
    arrays["task"] = write_shards(tmp_path / "b", values)
    influence.require_comparable(arrays)
    arrays["task"] = write_shards(tmp_path / "b", values, **metadata)
    with pytest.raises(ValueError, match=message):
        influence.require_comparable(arrays)


def test_gradients_of_different_width_are_refused(tmp_path):
    arrays = {str(k): write_shards(tmp_path / str(k), unit_rows(4, k, 0)) for k in (8, 16)}
    with pytest.raises(ValueError, match="width"):
        influence.require_comparable(arrays)
