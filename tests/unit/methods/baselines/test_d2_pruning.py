"""D2 pruning: all variants against all pairs and a plain loop, and its invariances."""

import json
import logging

import find_neighbours
import numpy as np
import pytest
from feature_files import array_of, blobs, make_pool, shuffled, table
from threadpoolctl import threadpool_limits

from performance import straightforward as plain
from vlselect.clusters import neighbours
from vlselect.clusters.embeddings import Embeddings
from vlselect.methods.baselines.d2_pruning import VARIANTS, score, select

COLUMNS = json.dumps(["nll", "el2n", "margin"])


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def margins(n=150, seed=2):
    values = np.zeros((n, 3), np.float32)
    values[:, 2] = np.random.default_rng(seed).uniform(-1, 1, n)
    return values


def signals_of(folder, pool, values, likelihood, k=5, shards=1):
    embeddings = Embeddings(
        array_of(folder / "hidden", values, shards), pool["sample_id"].to_numpy(object), False
    )
    settings = {"index": "exact", "n_lists": None, "n_probe": 32, "memory_gb": 4.0, "seed": 0}
    found = neighbours.nearest(embeddings, k, **settings)
    graph = find_neighbours.neighbour_table(embeddings, *found, np.arange(len(values)), len(values))
    array = array_of(folder / "likelihood", likelihood, shards, columns=COLUMNS)
    return {"likelihood": array, "neighbours": graph}


def choose(pool, signals, budget, variant):
    scores = score(pool, signals, 0, variant=variant, gamma_forward=1.0)
    signals = {**signals, "scores": table(scores)}
    chosen = select(pool, signals, budget, 0, variant=variant, gamma_reverse=0.4)
    chosen.check(budget, len(pool))
    return chosen


def naive(values, margin, ids, budget, variant):
    """Apply D2 pruning's definition in the order of ids, which break ties."""
    order = np.argsort(ids)
    own = (1 - margin) / 2 if variant == "paper" else np.maximum(margin, 1e-7)
    own, (places, squared) = own[order], plain.nearest(values[order], 5)
    if variant != "coincide":
        return order[plain.d2_pruning(own, places, squared, budget)].tolist()
    scores = own + (np.exp(-squared) * own[places]).sum(axis=1)
    scores = scores.astype(np.float32).astype(np.float64)  # as they are stored
    return order[plain.walk_of_coincide(scores, places, squared, budget)].tolist()


@pytest.mark.parametrize("variant", VARIANTS)
def test_against_the_definition(tmp_path, variant):
    values, likelihood, pool = blobs(150, copies=20), margins(), make_pool(150)
    signals = signals_of(tmp_path, pool, values, likelihood)
    chosen = choose(pool, signals, 60, variant)
    margin = likelihood[:, 2].astype(np.float64)
    expected = naive(values, margin, pool["sample_id"], 60, variant)
    assert chosen.rows.tolist() == expected
    assert chosen.scores[0] >= chosen.scores[-1]


def test_only_coincides_picks_amount_to_the_top_of_the_forward_scores(tmp_path):
    values, pool = blobs(600, noise=0.5), make_pool(600)
    signals = signals_of(tmp_path, pool, values, margins(600))
    scores = score(pool, signals, 0, variant="coincide", gamma_forward=1.0)
    top = set(np.argsort(-scores)[:120])
    shared = {v: len(top & set(choose(pool, signals, 120, v).rows)) for v in VARIANTS}
    assert shared["coincide"] >= 114
    assert max(shared["released"], shared["paper"]) < 90


def test_variants_prefer_easy_or_difficult_samples(tmp_path):
    values, likelihood, pool = blobs(150, noise=9.0), margins(), make_pool(150)
    signals = signals_of(tmp_path, pool, values, likelihood)  # far apart: messages have no effect
    ascending = np.argsort(likelihood[:, 2])
    easy, difficult = choose(pool, signals, 30, "released"), choose(pool, signals, 30, "paper")
    np.testing.assert_array_equal(easy.rows, ascending[::-1][:30])
    np.testing.assert_array_equal(difficult.rows, ascending[:30])


def test_messages_that_count_for_nothing_are_a_warning(tmp_path, caplog):
    values, pool = blobs(150, noise=9.0), make_pool(150)
    signals = signals_of(tmp_path, pool, values, margins())
    with caplog.at_level(logging.WARNING):
        score(pool, signals, 0, variant="released", gamma_forward=1.0)
    assert "almost no effect" in caplog.text


def test_copies_make_room_for_others(tmp_path):
    values, pool = blobs(150, noise=1.0, copies=75), make_pool(150)
    likelihood = margins()
    likelihood[:, 2] = 0.5  # equally easy: diversity alone decides
    chosen = choose(pool, signals_of(tmp_path, pool, values, likelihood), 40, "released")
    assert len(np.unique(values[chosen.rows], axis=0)) == 40


@pytest.mark.parametrize("variant", VARIANTS)
def test_neither_shards_nor_the_order_of_the_pool_matter(tmp_path, variant):
    values, likelihood, pool = blobs(150, copies=20), margins(), make_pool(150)
    likelihood[::3, 2] = 0.25  # ties
    one = choose(pool, signals_of(tmp_path / "a", pool, values, likelihood), 60, variant)
    order = np.random.default_rng(1).permutation(150)
    other = shuffled(pool, order)
    moved = signals_of(tmp_path / "b", other, values[order], likelihood[order], shards=2)
    two = choose(other, moved, 60, variant)
    assert pool["sample_id"][one.rows].tolist() == other["sample_id"][two.rows].tolist()
    np.testing.assert_array_equal(one.scores, two.scores)


def test_bad_input_is_an_error(tmp_path):
    pool = make_pool(150)
    signals = signals_of(tmp_path, pool, blobs(150), margins())
    of, to = {"variant": "paper", "gamma_forward": 1.0}, {"variant": "paper", "gamma_reverse": 0.4}
    with pytest.raises(ValueError, match="'hard'"):
        score(pool, signals, 0, **of | {"variant": "hard"})
    with pytest.raises(ValueError, match="'hard'"):
        select(pool, signals, 5, 0, **to | {"variant": "hard"})
    with pytest.raises(ValueError, match="d2_pruning needs the signal 'neighbours'"):
        score(pool, {"likelihood": signals["likelihood"]}, 0, **of)
    for change, message in (
        ({"neighbour_2": 150}, "not rows of the pool"),
        ({"squared_3": np.nan}, "below zero or NaN"),
        ({"neighbour_9": 0}, r"\(150, 6\) and distances \(150, 5\)"),
    ):
        broken = {**signals, "neighbours": signals["neighbours"].assign(**change)}
        with pytest.raises(ValueError, match=message):
            score(pool, broken, 0, **of)
    scores = table(np.ones(150))
    scores.loc[44, "score"] = np.nan
    with pytest.raises(ValueError, match="row 44 is NaN"):
        select(pool, {**signals, "scores": scores}, 5, 0, **to)
    with pytest.raises(ValueError, match="budget of 151"):
        select(pool, {**signals, "scores": table(np.ones(150))}, 151, 0, **to)
