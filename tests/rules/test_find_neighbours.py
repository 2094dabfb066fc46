"""scripts/find_neighbours.py: from shards and sample ids to a table of rows and distances."""

import json

import find_neighbours
import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from closeness import assert_close_sums
from config_defaults import declared
from feature_files import blobs, make_pool
from usual_flags import usual

HANDED = ("k", "normalise", "index", "n_lists", "n_probe", "memory_gb")
USUAL = {key: declared("d2_pruning")[key]["default"] for key in HANDED}


def run(folder, values, pool, seed=0, **parameters):
    pool.to_parquet(folder / "samples.parquet")
    features = write_shards(folder, values, shards=2)
    flags = ["--samples", folder / "samples.parquet", "--features", *features, "--seed", seed]
    flags += [
        "--parameters",
        json.dumps(USUAL | parameters),
        "--out",
        folder / "neighbours.parquet",
    ]
    find_neighbours.main([*usual(find_neighbours), *map(str, flags)])
    return pd.read_parquet(folder / "neighbours.parquet")


@pytest.mark.parametrize("normalise", [False, True])
def test_neighbours_are_rows_of_the_pool(tmp_path, normalise):
    values, pool = blobs(130), make_pool(130)
    table = run(tmp_path, values, pool, k=3, normalise=normalise)
    exact = values.astype(np.float64)
    if normalise:
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    squared = ((exact[:, None] - exact[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    nearest = np.argsort(squared, axis=1)[:, :3]
    assert table["row"].tolist() == list(range(130))
    columns = [f"{name}_{j}" for name in ("neighbour", "squared") for j in (1, 2, 3)]
    assert table.columns.tolist() == ["row", *columns]
    np.testing.assert_array_equal(table[columns[:3]], nearest)
    assert_close_sums(table[columns[3:]], np.take_along_axis(squared, nearest, 1), terms=12)


def test_unknown_parameters_are_errors(tmp_path):
    with pytest.raises(TypeError, match="gamma"):
        run(tmp_path, blobs(20), make_pool(20), k=3, gamma=1)
    assert not (tmp_path / "neighbours.parquet").exists()


def test_the_seed_moves_inverted_lists_and_nothing_else(tmp_path):
    values, pool = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float16), make_pool(400)
    for index, moves in (("ivf", True), ("exact", False)):
        settings = {"k": 5, "index": index, "n_lists": 20, "n_probe": 1}
        first, second = (run(tmp_path, values, pool, seed, **settings) for seed in (0, 1))
        assert first.equals(second) != moves
