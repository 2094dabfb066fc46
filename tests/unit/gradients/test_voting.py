"""Votes, ranks and aggregators against slow references, and for any order of the rows."""

import numpy as np
import pytest

from vlselect.gradients import voting

pytestmark = pytest.mark.numeric


def random_tables(count=40, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(count):
        shape = int(rng.integers(2, 40)), int(rng.integers(1, 6))
        table = rng.normal(size=shape).astype(np.float32)
        yield np.round(table, 1) if i % 2 else table  # half of them are full of ties


def slow_percentile(values, q):
    ordered = sorted(map(float, values))
    place = (len(ordered) - 1) * q / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def test_votes_agree_with_an_interpolated_percentile():
    for table in random_tables():
        votes = voting.cast_votes(table, 20)
        for column, cast in zip(table.T, votes.T, strict=True):
            threshold = slow_percentile(column, 80)
            near = np.abs(column - threshold) < 1e-9  # the two formulas may differ in the last bit
            expected = [int(value >= threshold) for value in column]
            assert np.array_equal(cast[~near], np.array(expected)[~near])


def test_votes_of_an_exact_case():
    column = np.arange(1, 12, dtype=np.float32)[:, None]  # 80th percentile of 1..11 is 9
    assert voting.cast_votes(column, 20)[:, 0].tolist() == [0] * 8 + [1] * 3
    ties = np.array([[0], [1], [1], [1], [1]], dtype=np.float32)  # 80th percentile is 1: all tie
    assert voting.cast_votes(ties, 20)[:, 0].tolist() == [0, 1, 1, 1, 1]
    assert voting.cast_votes(column, 20).dtype == np.uint8


@pytest.mark.parametrize("top_percent", [0, 100, -1, 120, float("nan")])
def test_top_percent_out_of_range(top_percent):
    with pytest.raises(ValueError, match="top_percent"):
        voting.cast_votes(np.zeros((2, 1)), top_percent)


def slow_mean_rank(table):
    n_pool, n_tasks = table.shape
    result = np.zeros(n_pool)
    for i in range(n_pool):
        for column in table.T:
            below, equal = np.sum(column < column[i]), np.sum(column == column[i]) - 1
            result[i] += (below + equal / 2) / (n_pool - 1) / n_tasks
    return result


def test_mean_rank_counts_who_is_below():
    for table in random_tables():
        np.testing.assert_allclose(voting.mean_rank(table), slow_mean_rank(table), atol=1e-12)


def test_mean_rank_of_the_best_is_one_and_equal_sums_are_equal():
    ranks = voting.mean_rank(np.array([[3.0, 3.0], [2.0, 2.0], [1.0, 1.0]]))
    assert ranks.tolist() == [1.0, 0.5, 0.0]
    rng = np.random.default_rng(1)
    ranks = np.stack([rng.permutation(7) for _ in range(6)])  # six tasks' ranks
    forwards = voting.mean_rank(ranks.T)
    assert np.array_equal(forwards, voting.mean_rank(ranks[::-1].T))
    assert voting.mean_rank(np.array([[5.0, 6.0]])).tolist() == [1.0]


def test_mean_z_score_agrees_with_numpy():
    for table in random_tables():
        if (table.std(axis=0) == 0).any():
            continue
        exact = table.astype(np.float64)
        expected = ((exact - exact.mean(axis=0)) / exact.std(axis=0)).mean(axis=1)
        np.testing.assert_allclose(voting.mean_z_score(table), expected, atol=1e-9)
    assert voting.mean_z_score(np.array([[5.0, 6.0]])).tolist() == [0.0]


@pytest.mark.parametrize("aggregator", ["mean", "max", "mean_rank"])
def test_aggregates_move_with_the_rows_bit_for_bit(aggregator):
    rng = np.random.default_rng(5)
    table = rng.normal(size=(200, 4)).astype(np.float32)
    scores, order = voting.aggregate(table, aggregator), rng.permutation(200)
    assert np.array_equal(voting.aggregate(table[order], aggregator), scores[order])


def test_max_and_single_take_plain_influence():
    table = np.array([[1.0, 5.0], [2.0, 3.0]], dtype=np.float32)
    assert voting.aggregate(table, "max").tolist() == [5.0, 3.0]
    assert voting.aggregate(table[:, :1], "single:a").tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="single:a"):
        voting.aggregate(table, "single:a")
    with pytest.raises(ValueError, match="median"):
        voting.aggregate(table, "median")


def slow_round_robin(table, budget, ids):
    chosen = []
    while len(chosen) < budget:
        for column in table.T:
            left = [i for i in range(len(table)) if i not in chosen]
            if len(chosen) < budget:
                chosen.append(min(left, key=lambda i: (-column[i], ids[i])))
    return chosen


def test_round_robin_agrees_with_choosing_one_by_one():
    rng = np.random.default_rng(2)
    for table in random_tables():
        ids = [f"s{i:02}" for i in rng.permutation(len(table))]
        budget = int(rng.integers(1, len(table) + 1))
        rows, scores = voting.round_robin(table, budget, ids)
        assert rows.tolist() == slow_round_robin(table, budget, ids)
        for turn, (row, score) in enumerate(zip(rows, scores, strict=True)):
            assert score == table[row, turn % table.shape[1]]


def test_round_robin_cannot_exceed_the_pool():
    with pytest.raises(ValueError, match="budget of 3"):
        voting.round_robin(np.zeros((2, 1)), 3, ["a", "b"])


def test_uninformative_influence_is_refused_by_name():
    table = np.array([[1.0, 2.0], [1.0, 3.0]])
    with pytest.raises(ValueError, match="influence on a is 1.0 for every sample"):
        voting.require_informative(table, ["a", "b"])
    table[1] = [2.0, np.nan]
    with pytest.raises(ValueError, match="influence on b of row 1 is not finite"):
        voting.require_informative(table, ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        voting.require_informative(table[:, :0], [])
    voting.require_informative(table[:1], ["a", "b"])
