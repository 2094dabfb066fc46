"""Formulas of the plan: sizes against real shards, work against what algorithms count, units."""

import numpy as np
import pytest

from vlselect.clusters import kmeans
from vlselect.core import store
from vlselect.plan import planning
from vlselect.plan.planning import Rates, Work

RATES = Rates(single=2.0, double=1.0, read=4.0, cast=8.0, sort=16.0, records=32.0, start=3.0)


@pytest.mark.parametrize("dtype", ["<f2", "<f4"])
@pytest.mark.parametrize("shards", [1, 3])
def test_shard_bytes_are_those_of_the_files(tmp_path, dtype, shards):
    rows, columns = 200, 7
    for i in range(1, shards + 1):
        part = store.shard_rows(rows, f"{i}-of-{shards}")
        path = tmp_path / f"shard-{i}.safetensors"
        with store.ShardWriter(path, (len(part), columns), dtype, {"rows": "0:1"}) as writer:
            writer.write(slice(None), np.ones((len(part), columns), dtype))
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    values = planning.shard_bytes(rows, columns, np.dtype(dtype).itemsize)
    header = (written - values) // shards
    assert 0 < header <= 256
    assert planning.shard_bytes(rows, columns, np.dtype(dtype).itemsize, shards, header) == written


def test_seconds_are_a_start_and_each_part_at_its_rate():
    work = Work(single=2, double=3, read=8, cast=8, sort=32, records=64)
    assert RATES.seconds(Work()) == 3
    assert RATES.seconds(work) == 3 + 1 + 3 + 2 + 1 + 2 + 2
    assert RATES.seconds(work + work) == 3 + 2 * 11


def test_influence_multiplies_and_reads_once():
    work = planning.influence(rows=1000, dim=64, tasks=3, validation=20)
    assert work.single == 2 * 1000 * 64 * 3
    assert work.read == 2 * 1020 * 64
    matrix = planning.influence(rows=1000, dim=64, tasks=3, validation=20, matrix=True)
    assert matrix.single == 2 * 1000 * 64 * 23 and matrix.read == work.read


@pytest.mark.parametrize("memory_gb", [1e-5, 4.0])
@pytest.mark.parametrize("clusters_wanted", [2, 40])
def test_training_rows_are_as_many_as_the_clustering_takes(memory_gb, clusters_wanted):
    arguments = (1000, 16, clusters_wanted, 10, memory_gb)
    assert planning.training_rows(*arguments) == len(kmeans.training_rows(*arguments, seed=0))


def test_more_of_anything_is_more_work():
    small, large = planning.kmeans(100, 8, 4, 10, 50), planning.kmeans(200, 8, 4, 10, 50)
    assert large.single > small.single and large.read > small.read
    exact = planning.neighbours(1000, 8, True, 10, 1, 100)
    assert planning.neighbours(2000, 8, True, 10, 1, 100).single == 4 * exact.single
    assert planning.coincide(1000, 8, 10, 500).cast > planning.coincide(1000, 8, 10, 100).cast
    assert planning.leverage(1000, 32).double > 2 * 1000 * 32**2
