"""Samples that a model refused, through the stages: the others are treated as if they were all."""

import json
from argparse import Namespace

import cast_votes
import cluster_activations
import compute_influence
import find_near_duplicates
import find_neighbours
import numpy as np
import pandas as pd
import pytest
import score_samples
import summarise_clusters
import tabulate_votes
from array_files import write_shards
from closeness import assert_close_sums
from config_defaults import declared
from feature_files import blobs, make_pool
from method_signals import METHODS, make_signals, runner_of
from method_signals import make_pool as varied_pool
from safetensors import safe_open
from usual_flags import usual

from vlselect.core.refused import naming
from vlselect.core.store import ShardedArray
from vlselect.subsets.constraints import Constraints
from vlselect.subsets.method_runner import MethodRunner

REFUSED = [0, 63, 64, 129, 140]  # of 141: first and last rows of blocks and of the pool
N = 136
KEPT = np.setdiff1d(np.arange(N + len(REFUSED)), REFUSED)
HEADER = {"model": "m", "layers": "[1, 3]", "projection": json.dumps({"type": "sjlt", "seed": 0})}


def both(folder, values):
    """Write an array with and without refused rows; return two folders with their shards."""
    more = np.ones((len(KEPT) + len(REFUSED), *values.shape[1:]), values.dtype)
    more[KEPT] = values
    found = []
    for name, rows, refused in (("plain", values, ()), ("refused", more, REFUSED)):
        (folder / name).mkdir(parents=True)
        shards = write_shards(folder / name, rows, 2, refused, **HEADER)
        found.append((folder / name, [str(path) for path in shards]))
    return found


def with_ids(folder):
    """Write pools without and with the refused samples."""
    pool = make_pool(N)
    pool.to_parquet(folder / "plain/samples.parquet")
    more = make_pool(len(KEPT) + len(REFUSED))
    more["sample_id"] = [f"refused-{i}" for i in range(len(more))]
    more.loc[KEPT, "sample_id"] = pool["sample_id"].to_numpy()
    more.to_parquet(folder / "refused/samples.parquet")


def test_a_shard_names_its_refused_rows_and_any_reader_can_open_it(tmp_path):
    (_, plain), (_, shards) = both(tmp_path, blobs(N))
    assert ShardedArray(shards).refused.tolist() == REFUSED
    assert ShardedArray(plain).refused.tolist() == []
    np.testing.assert_array_equal(ShardedArray(shards)[KEPT], blobs(N))
    assert np.isnan(ShardedArray(shards)[REFUSED]).all()
    with safe_open(shards[0], "np") as file:
        assert json.loads(file.metadata()["refused"]) == {"left_out": [64, 129, 140]}
        assert np.isnan(file.get_tensor("values")).any()
    with safe_open(plain[0], "np") as file:
        assert "refused" not in file.metadata()


def test_clusters_are_those_of_the_others(tmp_path):
    found = []
    for folder, shards in both(tmp_path, blobs(N, width=16)):
        flags = ["--activations", *shards, "--n-clusters", "6"]
        flags += ["--out-assignments", str(folder / "assignments.parquet")]
        flags += ["--out-centroids", str(folder / "centroids.safetensors")]
        cluster_activations.main([*usual(cluster_activations), *flags])
        flags = ["--activations", *shards, "--assignments", str(folder / "assignments.parquet")]
        flags += ["--centroids", str(folder / "centroids.safetensors")]
        flags += ["--out", str(folder / "summary.parquet")]
        summarise_clusters.main([*usual(summarise_clusters), *flags])
        names = ("assignments", "summary")
        tables = [pd.read_parquet(folder / f"{name}.parquet") for name in names]
        found.append((*tables, ShardedArray([folder / "centroids.safetensors"])[:]))
    (plain, summary, centroids), (table, *rest) = found
    assert table.attrs["refused"] == REFUSED and "refused" not in plain.attrs
    assert (table["cluster"][REFUSED] == -1).all() and table["distance"][REFUSED].isna().all()
    assert table.loc[KEPT, ["cluster", "distance"]].to_numpy().tolist() == (
        plain[["cluster", "distance"]].to_numpy().tolist()
    )
    pd.testing.assert_frame_equal(rest[0], summary)
    np.testing.assert_array_equal(rest[1], centroids)


def test_neighbours_and_near_duplicates_are_those_of_the_others(tmp_path):
    (one, _), (other, _) = files = both(tmp_path, blobs(N, copies=5))
    with_ids(tmp_path)
    for folder, shards in files:
        usual_keys = ("k", "normalise", "index", "n_lists", "n_probe", "memory_gb")
        parameters = {key: declared("d2_pruning")[key]["default"] for key in usual_keys}
        flags = ["--samples", str(folder / "samples.parquet"), "--features", *shards]
        own = ["--parameters", json.dumps(parameters), "--out", str(folder / "neighbours.parquet")]
        find_neighbours.main([*usual(find_neighbours), *flags, *own])
        own = ["--cosine", "0.97", "--out", str(folder / "pairs.parquet")]
        find_near_duplicates.main([*usual(find_near_duplicates), *flags, *own])
    plain, table = (pd.read_parquet(folder / "neighbours.parquet") for folder in (one, other))
    for name in plain.filter(regex="neighbour_"):
        np.testing.assert_array_equal(table[name][KEPT], KEPT[plain[name]])
        np.testing.assert_array_equal(table[name][REFUSED], REFUSED)
    for name in plain.filter(regex="squared_"):
        np.testing.assert_array_equal(table[name][KEPT], plain[name])
    assert table.attrs["refused"] == REFUSED
    plain, table = (pd.read_parquet(folder / "pairs.parquet") for folder in (one, other))
    assert len(plain) >= 5
    np.testing.assert_array_equal(table[["row_a", "row_b"]], KEPT[plain[["row_a", "row_b"]]])


def test_influence_votes_and_their_tables_are_those_of_the_others(tmp_path):
    files = both(tmp_path / "pool", blobs(N, width=16))
    rng = np.random.default_rng(3)
    validation = rng.normal(size=(6, 16)).astype(np.float16)
    votes, tables = [], []
    for (folder, shards), refused in zip(files, ((), (1, 4)), strict=True):
        rows = validation if refused else np.delete(validation, [1, 4], axis=0)
        tasks = {}
        for name, values in (("a", rows), ("b", validation)):
            (folder / name).mkdir()
            tasks[name] = str(
                *write_shards(folder / name, values, 1, refused if name == "a" else (), **HEADER)
            )
        flags = ["--pool", *shards, "--tasks", *tasks, "--validation", *tasks.values()]
        flags += ["--out", *(str(folder / f"{name}.parquet") for name in tasks)]
        flags += ["--out-matrices", *(str(folder / f"{name}_m.safetensors") for name in tasks)]
        compute_influence.main([*usual(compute_influence), *flags])
        paths = [str(folder / f"{name}.parquet") for name in tasks]
        flags = ["--top-percent", "20", "--out", str(folder / "votes.parquet")]
        cast_votes.main(["--influence", *paths, *flags])
        votes.append(pd.read_parquet(folder / "votes.parquet"))
        tables.append([pd.read_parquet(path)["influence"] for path in paths])
        matrix = ShardedArray([folder / "a_m.safetensors"])
        assert matrix.shape == (len(votes[-1]), 4)
        assert matrix.refused.tolist() == (REFUSED if refused else [])
        agreement = tabulate_votes.pairs(votes[-1], paths)
        tables[-1].append(agreement.drop(columns=["task_a", "task_b"]).stack())
    (plain, table), (before, after) = votes, tables
    for one, other in zip(before[:2], after[:2], strict=True):
        assert other[REFUSED].isna().all()
        assert_close_sums(other[KEPT], one, terms=16, scale=10)
    np.testing.assert_allclose(after[2], before[2], rtol=1e-6)
    columns = ["a", "b", "votes"]
    np.testing.assert_array_equal(table.loc[KEPT, columns], plain[columns])
    np.testing.assert_array_equal(table.loc[KEPT, "mean_rank"], plain["mean_rank"])
    assert (table.loc[REFUSED, columns] == 0).all(axis=None)
    assert table.attrs["refused"] == REFUSED and "refused" not in plain.attrs


@pytest.mark.parametrize("method", ["self_sup", "semdedup"])
def test_scores_are_those_of_the_others(tmp_path, method):
    files = both(tmp_path, blobs(N))
    with_ids(tmp_path)
    scores = []
    for folder, shards in files:
        pool = pd.read_parquet(folder / "samples.parquet").assign(source="x")
        pool.to_parquet(folder / "samples.parquet")
        keys = ["n_clusters", "iterations", "points_per_centroid", "memory_gb"]
        keys += ["first"] if method == "semdedup" else []
        parameters = {key: declared(method)[key]["default"] for key in keys} | {"n_clusters": 4}
        flags = ["--method", method, "--samples", str(folder / "samples.parquet")]
        flags += ["--signal", "last_token", *shards, "--parameters", json.dumps(parameters)]
        score_samples.main([*usual(score_samples), *flags, "--out", str(folder / "s.parquet")])
        scores.append(pd.read_parquet(folder / "s.parquet"))
    plain, table = scores
    np.testing.assert_array_equal(table["score"][KEPT], plain["score"])
    assert table["score"][REFUSED].isna().all() and table.attrs["refused"] == REFUSED


@pytest.mark.parametrize("name", METHODS)
def test_every_method_chooses_as_if_refused_samples_were_not_there(tmp_path, name):
    rng = np.random.default_rng(5)
    pool = varied_pool(rng)
    runner = runner_of(name, pool, make_signals(tmp_path, rng, pool), seed=1)
    refused = [0, 7, 31, 59]
    parts = (runner._method, pool, runner._signals, 1, runner._parameters)
    apart = MethodRunner(*parts, refused=refused)
    kept = np.setdiff1d(pool["row"], refused)
    assert apart.rows.tolist() == kept.tolist()
    among = MethodRunner(*parts)(kept, 12)  # `prepare` sees the whole pool here, and not there
    found = apart(kept, 12)
    assert not set(found.rows) & set(refused)
    if not hasattr(runner._method, "prepare"):
        assert found.rows.tolist() == among.rows.tolist()
    fewer = kept[kept % 3 != 0]
    assert set(apart(fewer, 6).rows) <= set(fewer)
    limited = Constraints(pool, bounds={"minimum": {"chats": 4}}, refused=refused)
    chosen = limited.choose(apart, 12)
    assert len(chosen.rows) == 12 and not set(chosen.rows) & set(refused)


def test_what_is_kept_must_not_be_refused():
    pool = varied_pool(np.random.default_rng(0))
    name = pool["sample_id"][7]
    with pytest.raises(ValueError, match=f"constraints.keep: a model .* refuses '{name}'"):
        Constraints(pool, keep=[name], refused=[3, 7])


def test_extremes_of_votes_leave_refused_samples_out(tmp_path, tiny_pool):
    votes = pd.DataFrame({"row": range(24), "votes": 1, "mean_rank": np.linspace(0, 1, 24)})
    votes.loc[[1, 23], "mean_rank"] = np.nan
    args = Namespace(
        samples=tiny_pool / "samples.parquet",
        images=tiny_pool / "images",
        max_pixels=10**7,
        count=3,
    )
    rows = {row["row"] for row in tabulate_votes.extremes(args, naming(votes, np.array([1, 23])))}
    assert len(rows) == 6 and not rows & {1, 23}
