"""Message passing against a plain loop over all samples at every step."""

import numpy as np
import pytest

from performance.straightforward import walk_of_coincide
from vlselect.methods.maths.message_passing import forward, reverse, walk

pytestmark = pytest.mark.numeric


def graph(n=80, k=4, seed=0):
    rng = np.random.default_rng(seed)
    neighbours = np.array([rng.choice(np.delete(np.arange(n), i), k, False) for i in range(n)])
    squared = rng.exponential(size=(n, k))
    return neighbours, squared


def test_forward_is_the_sum_over_neighbours():
    neighbours, squared = graph()
    scores = np.random.default_rng(1).random(80)
    expected = [
        scores[i]
        + sum(np.exp(-2.0 * d) * scores[j] for j, d in zip(neighbours[i], squared[i], strict=True))
        for i in range(80)
    ]
    np.testing.assert_allclose(forward(scores, neighbours, squared, 2.0), expected, rtol=1e-12)


def slow_reverse(scores, neighbours, squared, gamma, budget, ranks):
    scores, taken, values = list(scores), [], []
    for _ in range(budget):
        best = min(
            (i for i in range(len(scores)) if i not in taken), key=lambda i: (-scores[i], ranks[i])
        )
        taken.append(best)
        values.append(scores[best])
        for j, d in zip(neighbours[best], squared[best], strict=True):
            if j not in taken:
                scores[j] -= np.exp(-gamma * d) * scores[best]
    return taken, values


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_reverse_against_the_loop(low):
    for seed in range(5):
        neighbours, squared = graph(seed=seed)
        rng = np.random.default_rng(seed)
        scores = np.round(rng.uniform(low, 1, 80), 1)  # ties; with low < 0 messages raise scores
        ranks = rng.permutation(80)
        rows, values = reverse(scores, neighbours, squared, 0.4, 80, ranks)
        expected = slow_reverse(scores, neighbours, squared, 0.4, 80, ranks)
        assert rows.tolist() == expected[0]
        np.testing.assert_array_equal(values, expected[1])
        part, _ = reverse(scores, neighbours, squared, 0.4, 30, ranks)
        np.testing.assert_array_equal(part, rows[:30])


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_walk_against_the_loop(low):
    for seed in range(5):
        neighbours, squared = graph(seed=seed)
        scores = np.round(np.random.default_rng(seed).uniform(low, 1, 80), 1)
        arguments = (scores, neighbours, squared, 0.4)
        rows, _ = walk(*arguments, 80, np.arange(80))
        assert rows.tolist() == walk_of_coincide(scores, neighbours, squared, 80)
        part, _ = walk(*arguments, 30, np.arange(80))
        np.testing.assert_array_equal(part, rows[:30])
        assert set(part) != set(reverse(*arguments, 30, np.arange(80))[0])


def test_walk_takes_what_it_put_aside_once_it_is_no_less_than_the_next_in_line():
    # 0 lowers 1 below 2, which is taken first; 3 has less than 1 has left
    neighbours = np.array([[1], [2], [3], [2]])
    squared = np.array([[1.0], [90.0], [90.0], [90.0]])
    rows, values = walk(np.array([1.0, 0.9, 0.5, 0.1]), neighbours, squared, 0.4, 4, np.arange(4))
    assert rows.tolist() == [0, 2, 1, 3]
    np.testing.assert_allclose(values, [1, 0.5, 0.9 - np.exp(-0.4), 0.1])


def test_copies_are_passed_over_until_nothing_else_is_left():
    # 0 and 1 are copies, 2 is far from both: 0 takes all of 1's score
    neighbours, squared = np.array([[1], [0], [0]]), np.array([[0.0], [0.0], [50.0]])
    rows, values = reverse(np.array([1.0, 1.0, 0.1]), neighbours, squared, 0.4, 3, np.arange(3))
    assert rows.tolist() == [0, 2, 1]
    np.testing.assert_allclose(values, [1.0, 0.1, 0.0], atol=1e-9)
