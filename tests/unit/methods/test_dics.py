"""DICS: the smaller ratio, the three ranges of budgets, and both samplers."""

import json

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from config_defaults import with_defaults
from feature_files import array_of, shuffled, table
from threadpoolctl import threadpool_limits

from vlselect.core.store import ShardedArray
from vlselect.methods import dics
from vlselect.methods.maths.farthest import farthest_points
from vlselect.methods.maths.strata import best_of_strata

select = with_defaults(dics.select)
N = 60


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture
def made():
    """A pool, scores with ties, exact features with copies, and clusters."""
    rng = np.random.default_rng(0)
    n_images = (np.arange(N) % 5 > 0).astype(int)
    ids = [f"s{i:02d}" for i in rng.permutation(N)]
    pool = pd.DataFrame({"row": np.arange(N), "sample_id": ids, "n_images": n_images})
    scores = np.where(n_images, rng.integers(-6, 9, N) / 4, 0).astype(np.float32)
    features = rng.integers(-4, 5, (N, 3)).astype(np.float16)
    return pool, scores, features, rng.integers(0, 4, N)


def signals_of(folder, scores, features, cluster):
    clusters = pd.DataFrame({"row": np.arange(len(cluster)), "cluster": cluster})
    return {
        "scores": table(scores),
        "last_token": array_of(folder, features),
        "clusters": clusters,
    }


def slow_select(pool, scores, features, cluster, budget, sampler):
    """Rank, keep and sample, each step on lists of rows."""
    ids, n = pool["sample_id"].tolist(), len(pool)
    ranked = sorted(range(n), key=lambda row: (-scores[row], ids[row]))
    if 2 * budget == n:
        return ranked[:budget]
    kept = ranked[: max(0, 2 * budget - n)]
    among = ranked[: 2 * budget] if 2 * budget < n else ranked[len(kept) :]
    among = sorted(among, key=ids.__getitem__)
    wanted = budget - len(kept)
    if sampler == "fps":
        picks = farthest_points(features[among].astype(np.float32), wanted)
    else:
        own = [ids[row] for row in among]
        picks = best_of_strata(scores[among], cluster[among], wanted, own)
    return kept + [among[pick] for pick in picks]


@pytest.mark.parametrize("sampler", dics.SAMPLERS)
@pytest.mark.parametrize("budget", [1, 12, 29, 30, 31, 45, 60])
def test_it_agrees_with_the_steps_of_the_paper(made, tmp_path, budget, sampler):
    pool, *values = made
    chosen = select(pool, signals_of(tmp_path, *values), budget, 0, sampler=sampler)
    chosen.check(budget, N)
    assert chosen.rows.tolist() == slow_select(pool, *values, budget, sampler)
    np.testing.assert_array_equal(chosen.scores, values[0][chosen.rows])


@pytest.mark.parametrize("sampler", dics.SAMPLERS)
def test_the_order_of_the_pool_does_not_matter(made, tmp_path, sampler):
    pool, *values = made
    order = np.random.default_rng(1).permutation(N)
    other, one = shuffled(pool, order), signals_of(tmp_path / "a", *values)
    two = signals_of(tmp_path / "b", *(value[order] for value in values))
    for budget, text_only in ((12, "ranked"), (45, "ranked"), (20, "proportional"), (20, "drop")):
        parameters = {"sampler": sampler, "text_only": text_only}
        first = select(pool, one, budget, 0, **parameters)
        second = select(other, two, budget, 0, **parameters)
        np.testing.assert_array_equal(
            pool["sample_id"][first.rows], other["sample_id"][second.rows]
        )


def test_samples_without_an_image(made, tmp_path):
    pool, *values = made
    signals, pictured = signals_of(tmp_path, *values), np.flatnonzero(pool["n_images"])
    shared = select(pool, signals, 20, 0, text_only="proportional")
    part = pool.iloc[pictured].reset_index(drop=True)
    expected = slow_select(part, *(value[pictured] for value in values), 16, "fps")
    assert shared.rows[:16].tolist() == pictured[expected].tolist()
    assert not pool["n_images"][shared.rows[16:]].any()
    dropped = select(pool, signals, 16, 0, text_only="drop")
    assert dropped.rows.tolist() == shared.rows[:16].tolist()
    assert not pool["n_images"][select(pool, signals, 45, 0).rows].all()


def test_the_score_is_the_smaller_logarithm(made, tmp_path):
    values = np.random.default_rng(3).normal(size=(N, 2)).astype(np.float32)
    header = {"columns": json.dumps(["visual", "instruction"])}
    array = ShardedArray(write_shards(tmp_path, values, 2, **header))
    got = dics.score(made[0], {"instruction_gains": array}, 0)
    np.testing.assert_array_equal(got, values.min(axis=1))
    assert got.dtype == np.float32


def test_what_does_not_fit_is_an_error(made, tmp_path):
    pool, *values = made
    signals = signals_of(tmp_path, *values)
    with pytest.raises(ValueError, match="24 samples of width 3 take 0.0 GB: raise memory_gb"):
        select(pool, signals, 12, 0, memory_gb=1e-9)
    with pytest.raises(ValueError, match="sampler 'best'"):
        select(pool, signals, 12, 0, sampler="best")
    for sampler, name in (("fps", "last_token"), ("clusters", "clusters")):
        part = {key: value for key, value in signals.items() if key != name}
        with pytest.raises(ValueError, match=f"dics needs the signal '{name}'"):
            select(pool, part, 12, 0, sampler=sampler)
