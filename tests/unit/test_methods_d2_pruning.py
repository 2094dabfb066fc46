"""D2 pruning: against all pairs and a plain loop, both variants, and what it does not depend on."""

import json
import logging

import find_neighbours
import numpy as np
import pytest
from feature_files import array_of, blobs, make_pool, shuffled, table
from performance import straightforward as plain
from threadpoolctl import threadpool_limits

from vlselect import neighbours
from vlselect.embeddings import Embeddings
from vlselect.methods.d2_pruning import score, select

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
        array_of(folder / "hidden", values, shards), pool["sample_id"].to_numpy(object)
    )
    graph = find_neighbours.neighbour_table(embeddings, *neighbours.nearest(embeddings, k))
    array = array_of(folder / "likelihood", likelihood, shards, columns=COLUMNS)
    return {"likelihood": array, "neighbours": graph}


def choose(pool, signals, budget, variant):
    scores = score(pool, signals, 0, variant=variant)
    chosen = select(pool, {**signals, "scores": table(scores)}, budget, 0)
    chosen.check(budget, len(pool))
    return chosen


def naive(values, margin, ids, budget, variant):
    """D2 pruning by its definition, in the order of ids, which decide ties."""
    order = np.argsort(ids)
    own = np.maximum(margin, 1e-7) if variant == "released" else (1 - margin) / 2
    graph = plain.nearest(values[order], 5)
    return order[plain.d2_pruning(own[order], *graph, budget)].tolist()


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_against_the_definition(tmp_path, variant):
    values, likelihood, pool = blobs(150, copies=20), margins(), make_pool(150)
    signals = signals_of(tmp_path, pool, values, likelihood)
    chosen = choose(pool, signals, 60, variant)
    margin = likelihood[:, 2].astype(np.float64)
    expected = naive(values, margin, pool["sample_id"], 60, variant)
    assert chosen.rows.tolist() == expected
    assert chosen.scores[0] >= chosen.scores[-1]


def test_variants_prefer_easy_or_difficult_samples(tmp_path):
    values, likelihood, pool = blobs(150, noise=9.0), margins(), make_pool(150)
    signals = signals_of(
        tmp_path, pool, values, likelihood
    )  # far apart: messages count for nothing
    ascending = np.argsort(likelihood[:, 2])
    easy, difficult = choose(pool, signals, 30, "released"), choose(pool, signals, 30, "paper")
    np.testing.assert_array_equal(easy.rows, ascending[::-1][:30])
    np.testing.assert_array_equal(difficult.rows, ascending[:30])


def test_messages_that_count_for_nothing_are_a_warning(tmp_path, caplog):
    values, pool = blobs(150, noise=9.0), make_pool(150)
    signals = signals_of(tmp_path, pool, values, margins())
    with caplog.at_level(logging.WARNING):
        score(pool, signals, 0)
    assert "next to nothing" in caplog.text


def test_copies_make_room_for_others(tmp_path):
    values, pool = blobs(150, noise=1.0, copies=75), make_pool(150)
    likelihood = margins()
    likelihood[:, 2] = 0.5  # equally easy: diversity alone decides
    chosen = choose(pool, signals_of(tmp_path, pool, values, likelihood), 40, "released")
    assert len(np.unique(values[chosen.rows], axis=0)) == 40


@pytest.mark.parametrize("variant", ["released", "paper"])
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
    with pytest.raises(ValueError, match="'hard'"):
        score(pool, signals, 0, variant="hard")
    with pytest.raises(ValueError, match="d2_pruning needs the signal 'neighbours'"):
        score(pool, {"likelihood": signals["likelihood"]}, 0)
    for change, message in (
        ({"neighbour_2": 150}, "not rows of the pool"),
        ({"squared_3": np.nan}, "below zero or NaN"),
        ({"neighbour_9": 0}, r"\(150, 6\) and distances \(150, 5\)"),
    ):
        broken = {**signals, "neighbours": signals["neighbours"].assign(**change)}
        with pytest.raises(ValueError, match=message):
            score(pool, broken, 0)
    scores = table(np.ones(150))
    scores.loc[44, "score"] = np.nan
    with pytest.raises(ValueError, match="row 44 is NaN"):
        select(pool, {**signals, "scores": scores}, 5, 0)
    with pytest.raises(ValueError, match="budget of 151"):
        select(pool, {**signals, "scores": table(np.ones(150))}, 151, 0)
