"""SemDeDup: exactly the budget stays, the same samples as by bisection for epsilon."""

import logging

import numpy as np
import pytest
from closeness import rounding
from config_defaults import with_defaults
from feature_files import array_of, blobs, make_pool, shuffled, table
from threadpoolctl import threadpool_limits

from performance import straightforward as plain
from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.prototypes import nearest_prototype
from vlselect.methods.baselines import semdedup

score = with_defaults(semdedup.score)
select = with_defaults(semdedup.select)

pytestmark = pytest.mark.numeric


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def test_selection_is_what_bisection_converges_to(tmp_path):
    values, pool = blobs(240, noise=1.0), make_pool(240)
    array = array_of(tmp_path, values)
    embeddings = Embeddings(array, pool["sample_id"].to_numpy(object), True)
    cluster, distance = nearest_prototype(
        embeddings, 6, iterations=50, points_per_centroid=256, memory_gb=4.0, seed=0
    )
    unit = embeddings[np.arange(240)].astype(np.float64)
    highest = plain.highest_earlier(unit, cluster, distance)
    scores = score(pool, {"last_token": array}, 0, n_clusters=6)
    for budget in (24, 48, 120, 200):
        stay = plain.semdedup(highest, budget)
        assert len(stay) == budget  # no ties in these data
        chosen = select(pool, {"scores": table(scores)}, budget, 0)
        chosen.check(budget, 240)
        assert set(chosen.rows) == set(embeddings.rows[stay])
        assert chosen.scores[-1] == pytest.approx(1 - highest[stay].max(), abs=rounding(12))


def test_of_copies_one_stays(tmp_path):
    values, pool = blobs(200, noise=1.0, copies=80), make_pool(200)
    scores = score(pool, {"last_token": array_of(tmp_path, values)}, 0, n_clusters=4)
    chosen = select(pool, {"scores": table(scores)}, 120, 0)
    assert len(np.unique(values[chosen.rows], axis=0)) == 120
    # beyond that, only copies are left: the smallest ids come first
    more = select(pool, {"scores": table(scores)}, 150, 0).rows
    np.testing.assert_array_equal(more[:120], chosen.rows)
    copies = sorted(pool["sample_id"][np.setdiff1d(np.arange(200), chosen.rows)])
    assert pool["sample_id"][more[120:]].tolist() == copies[:30]


@pytest.mark.parametrize("first", ["hard", "easy"])
def test_neither_shards_nor_the_order_of_the_pool_matter(tmp_path, first):
    values, pool = blobs(copies=30), make_pool(300)
    options = {"n_clusters": 7, "first": first}
    scores = score(pool, {"last_token": array_of(tmp_path / "a", values)}, 0, **options)
    order = np.random.default_rng(1).permutation(300)
    signals = {"last_token": array_of(tmp_path / "b", values[order], shards=3)}
    other = shuffled(pool, order)
    np.testing.assert_array_equal(score(other, signals, 0, **options), scores[order])
    assert not np.array_equal(score(other, signals, 1, **options), scores[order])


def test_fewer_samples_than_clusters_are_drawn_by_ids_and_said(caplog):
    pool = make_pool(9)
    scores = table([2, 2, 2, 0.5, 0.5, 0, 0, 0, 0])
    with caplog.at_level(logging.WARNING):
        chosen = select(pool, {"scores": scores}, 2, 0)
    assert pool["sample_id"][chosen.rows].tolist() == sorted(pool["sample_id"][:3])[:2]
    assert "less than the number of clusters" in caplog.text


def test_bad_input_is_an_error(tmp_path):
    pool, values = make_pool(100), blobs(100)
    with pytest.raises(ValueError, match="100 samples for a pool of 99"):
        score(pool[:99], {"last_token": array_of(tmp_path, values)}, 0)
    with pytest.raises(ValueError, match="semdedup needs the signal 'last_token'"):
        score(pool, {}, 0)
    with pytest.raises(ValueError, match="NaN"):
        select(pool, {"scores": table(np.full(100, np.nan))}, 5, 0)
