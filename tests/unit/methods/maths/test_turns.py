"""Round robin and BIDS against slow loops over the whole matrix of similarities."""

import numpy as np
import pytest

from vlselect.methods.maths.turns import Queues, bids, keys, round_robin, similarity

TASKS = [[0, 1, 2], [3], [4, 5]]


def problem(seed, n=60, c=6, equal=False):
    """Similarities (n, c), with many equal ones if asked for, and ranks."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, c)).astype(np.float32)
    return (np.round(table) if equal else table), rng.permutation(n)


def queues(table, ranks, depth=5, size=16):
    """Queues over blocks of so many rows, and a list that grows with each pass."""
    passes = []

    def blocks():
        passes.append(1)
        return ((start, table[start : start + size]) for start in range(0, len(table), size))

    return Queues(blocks, ranks, depth), passes


def slow_round_robin(table, ranks, tasks, budget):
    left, turns, chosen = set(range(len(table))), [0] * len(tasks), []
    while len(chosen) < budget:
        for task, targets in enumerate(tasks):
            target = targets[turns[task] % len(targets)]
            turns[task] += 1
            row = max(left, key=lambda i: (table[i, target], -ranks[i]))
            left.remove(row)
            chosen.append((row, table[row, target]))
    return tuple(map(np.array, zip(*chosen[:budget], strict=True)))


def slow_bids(table, ranks, budget):
    z = (table - table.mean(axis=0, dtype=float)) / table.std(axis=0, dtype=float)
    chosen = []
    while len(chosen) < budget:
        have = z[chosen].mean(axis=0) if chosen else np.zeros(z.shape[1])
        left = [i for i in range(len(z)) if i not in chosen]
        gains = [(z[i] - have).max() for i in left]
        near = [i for i, gain in zip(left, gains, strict=True) if gain > max(gains) - 1e-12]
        chosen.append(min(near, key=lambda i: ranks[i]))
    return np.array(chosen)


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize(("depth", "size", "budget"), [(1, 7, 60), (4, 60, 31), (99, 1, 12)])
def test_round_robin_is_that_of_a_slow_loop(equal, depth, size, budget):
    table, ranks = problem(3, equal=equal)
    rows, scores = round_robin(queues(table, ranks, depth, size)[0], TASKS, budget)
    expected = slow_round_robin(table, ranks, TASKS, budget)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


@pytest.mark.parametrize(("equal", "depth"), [(False, 3), (True, 8), (False, 80)])
def test_bids_is_that_of_a_slow_loop(equal, depth):
    table, ranks = problem(5, equal=equal)
    mean, deviation = table.mean(axis=0, dtype=float), table.std(axis=0, dtype=float)
    found = bids(
        queues(table, ranks, depth)[0], table.__getitem__, mean, deviation, ranks, budget=40
    )
    np.testing.assert_array_equal(found[0], slow_bids(table, ranks, 40))


@pytest.mark.parametrize("equal", [False, True])
def test_the_order_of_rows_changes_nothing(equal):
    table, ranks = problem(7, equal=equal)
    order = np.random.default_rng(0).permutation(len(table))
    rows, scores = round_robin(queues(table, ranks)[0], TASKS, 40)
    again, moved = round_robin(queues(table[order], ranks[order], 9, 11)[0], TASKS, 40)
    np.testing.assert_array_equal(order[again], rows)
    np.testing.assert_array_equal(moved, scores)


def test_one_pass_does_where_queues_are_deep_enough():
    table, ranks = problem(9, n=200)
    found, passes = queues(table, ranks, depth=40)
    round_robin(found, TASKS, 60)
    assert len(passes) == 1
    found, passes = queues(table, ranks, depth=2)
    round_robin(found, TASKS, 60)
    assert len(passes) > 3


def test_keys_sort_as_numbers_and_ranks_do():
    values = np.array([-np.inf, -1.5, -1e-42, -0.0, 0.0, 1e-42, 2.5, np.inf], dtype=np.float32)
    made = keys(values[:, None], np.arange(8)[::-1].copy())[:, 0]
    assert (np.diff(made.astype(object)) > 0).all()
    assert [similarity(key) for key in made] == values.tolist()


def test_more_than_there_are_is_an_error():
    table, ranks = problem(1, n=4)
    with pytest.raises(ValueError, match="all samples are taken"):
        round_robin(queues(table, ranks)[0], TASKS, 5)
