"""The method `icons`: aggregators, tie-breaks, and any order of the pool."""

import numpy as np
import pandas as pd
import pytest
from config_defaults import with_defaults

from vlselect.gradients import voting
from vlselect.methods import icons

select = with_defaults(icons.select)

AGGREGATORS = ["vote", "mean", "max", "mean_rank", "round_robin_tasks", "single:b"]


def make_pool(n_pool, seed=0):
    ids = [f"s{i:03}" for i in np.random.default_rng(seed).permutation(n_pool)]
    return pd.DataFrame({"row": range(n_pool), "sample_id": ids})


def make_signals(table, tasks, top_percent=20):
    votes = voting.cast_votes(table, top_percent).sum(axis=1)
    columns = zip(tasks, table.T, strict=True)
    return {
        "votes": pd.DataFrame({"votes": votes, "mean_rank": voting.mean_rank(table)}),
        "influence": {task: pd.DataFrame({"influence": column}) for task, column in columns},
    }


def slow_votes(table, ids, budget, top_percent=20):
    votes = [0] * len(table)
    for column in table.T:
        threshold = np.percentile(column.astype(np.float64), 100 - top_percent)
        votes = [v + int(value >= threshold) for v, value in zip(votes, column, strict=True)]
    ranks = voting.mean_rank(table)
    order = sorted(range(len(table)), key=lambda i: (-votes[i], -ranks[i], ids[i]))
    return order[:budget], [votes[i] for i in order[:budget]]


def test_vote_takes_most_votes_then_mean_rank_then_id():
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = np.round(rng.normal(size=(50, 3)), 1).astype(np.float32)
        pool = make_pool(50)
        selection = select(pool, make_signals(table, list("abc")), 15, 0)
        rows, votes = slow_votes(table, pool["sample_id"], 15)
        assert selection.rows.tolist() == rows
        assert selection.scores.tolist() == votes


def test_index_breaks_ties_by_pool_order():
    table = np.array([[1, 1, 1, 0, 1]] * 2, dtype=np.float32).T
    pool = pd.DataFrame({"row": range(5), "sample_id": list("edcba")})
    signals = make_signals(table, ["a", "b"])
    by_index = select(pool, signals, 2, 0, tie_break="index")
    assert by_index.rows.tolist() == [0, 1]
    assert select(pool, signals, 2, 0).rows.tolist() == [4, 2]


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_every_aggregator_fills_budgets_whatever_the_pools_order(aggregator):
    rng = np.random.default_rng(3)
    table = np.round(rng.normal(size=(64, 3)), 1).astype(np.float32)
    pool, order = make_pool(64), rng.permutation(64)
    moved = pool.iloc[order].reset_index(drop=True)
    for budget in (1, 13, 64):
        here = select(pool, make_signals(table, list("abc")), budget, 0, aggregator=aggregator)
        here.check(budget, 64)
        there = select(
            moved, make_signals(table[order], list("abc")), budget, 0, aggregator=aggregator
        )
        ids = pool["sample_id"].to_numpy()[here.rows]
        assert ids.tolist() == moved["sample_id"].to_numpy()[there.rows].tolist()
        assert np.array_equal(here.scores, there.scores)


def test_aggregators_rank_by_what_they_say():
    table = np.array([[9, 0], [3, 3], [0, 4], [1, 1]], dtype=np.float32)
    pool = pd.DataFrame({"row": range(4), "sample_id": list("abcd")})
    signals = make_signals(table, ["x", "y"])

    def best(aggregator, budget=1):
        return select(pool, signals, budget, 0, aggregator=aggregator).rows.tolist()

    assert best("max") == [0]
    assert best("single:y") == [2]
    assert best("mean_rank") == [1]
    assert best("round_robin_tasks", 3) == [0, 2, 1]


def test_bad_choices_and_missing_signals_are_errors():
    table = np.array([[1, 2], [2, 1], [3, 0]], dtype=np.float32)
    pool, signals = make_pool(3), make_signals(table, ["x", "y"])
    with pytest.raises(ValueError, match="tie_break 'coin'"):
        select(pool, signals, 1, 0, tie_break="coin")
    with pytest.raises(ValueError, match="needs the signal 'votes'"):
        select(pool, {}, 1, 0)
    with pytest.raises(ValueError, match="single:z"):
        select(pool, signals, 1, 0, aggregator="single:z")
    with pytest.raises(ValueError, match="'mean' has no table"):
        select(pool, {"votes": signals["votes"]}, 1, 0, aggregator="mean")
    with pytest.raises(ValueError, match="median"):
        select(pool, signals, 1, 0, aggregator="median")


def test_constant_influence_is_refused():
    table = np.array([[1, 2], [1, 1], [1, 0]], dtype=np.float32)
    with pytest.raises(ValueError, match="influence on x is 1.0 for every sample"):
        select(make_pool(3), make_signals(table, ["x", "y"]), 1, 0, aggregator="mean")
