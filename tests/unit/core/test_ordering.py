"""Counts, ties and draws against obvious references."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from hashlib import blake2b
from itertools import combinations

import numpy as np
import pytest

from vlselect.core import ordering


@pytest.mark.parametrize(
    ("n_pool", "ratio", "expected"),
    [
        (10, 0.2, 2),
        (2406, 0.2, 481),
        (7, 1.0, 7),
        (3, 0.5, 2),
        (5, "0.5", 3),
        (50, 0.29, 15),  # 14.5 as written, 14.499999999999998 in binary
        (1, 0.5, 1),
        (665298, 0.2, 133060),
    ],
)
def test_size_rounds_halves_up(n_pool, ratio, expected):
    assert ordering.size(n_pool, ratio) == expected


def test_size_agrees_with_decimal_arithmetic():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n_pool, percent = int(rng.integers(100, 10_000)), int(rng.integers(1, 101))
        exact = (Decimal(percent) / 100 * n_pool).quantize(Decimal(1), ROUND_HALF_UP)
        assert ordering.size(n_pool, percent / 100) == exact


@pytest.mark.parametrize("ratio", [0, -0.1, 1.01, "nan", "a fifth", float("inf"), "True"])
def test_size_refuses_ratios_outside_range(ratio):
    with pytest.raises(ValueError, match="ratio"):
        ordering.size(10, ratio)


@pytest.mark.parametrize("n_pool", [0, 4])
def test_size_refuses_an_empty_budget(n_pool):
    with pytest.raises(ValueError, match="leaves none"):
        ordering.size(n_pool, 0.1)


def slow_top(scores, n, ids, ties):
    keys = [(-scores[i], *(-tie[i] for tie in ties), ids[i], i) for i in range(len(scores))]
    return [key[-1] for key in sorted(keys)[:n]]


def test_top_agrees_with_sorted_tuples():
    rng = np.random.default_rng(1)
    for _ in range(100):
        n_pool = int(rng.integers(1, 30))
        scores, tie = rng.integers(-2, 3, n_pool), rng.integers(0, 2, n_pool) / 3
        ids = [f"é{i}" if i % 3 else f"s{i}" for i in rng.permutation(n_pool)]
        n = int(rng.integers(0, n_pool + 1))
        ties = [tie] if rng.random() < 0.5 else []
        assert ordering.top(scores, n, ids, ties).tolist() == slow_top(scores, n, ids, ties)


def test_top_takes_unsigned_scores():
    assert ordering.top(np.array([1, 0, 2], np.uint16), 2, ["a", "b", "c"]).tolist() == [2, 0]


def test_top_refuses_nan_and_names_the_sample():
    with pytest.raises(ValueError, match=r"row 1 \(b\) is NaN"):
        ordering.top([1.0, np.nan], 1, ["a", "b"])


def test_top_refuses_a_repeated_id_and_a_budget_beyond_the_pool():
    with pytest.raises(ValueError, match="'a' is not unique"):
        ordering.top([1.0, 2.0], 1, ["a", "a"])
    with pytest.raises(ValueError, match="budget of 3"):
        ordering.top([1.0, 2.0], 3, ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        ordering.top([1.0, 2.0, 3.0], 1, ["a", "b"])


def test_draw_does_not_depend_on_the_pools_order():
    rng = np.random.default_rng(2)
    ids = np.array([f"sample-{i}" for i in range(50)], dtype=object)
    chosen = set(ids[ordering.draw(ids, 10, 3, "test")])
    assert len(chosen) == 10
    for _ in range(10):
        shuffled = rng.permutation(ids)
        assert set(shuffled[ordering.draw(shuffled, 10, 3, "test")]) == chosen
    assert set(ids[ordering.draw(ids, 10, 4, "test")]) != chosen
    assert chosen < set(ids[ordering.draw(ids, 20, 3, "test")])


def test_draw_is_uniform_over_samples():
    ids = [f"s{i}" for i in range(10)]
    counts = np.zeros(10)
    for seed in range(2000):
        counts[ordering.draw(ids, 3, seed, "test")] += 1
    # Each count is binomial(2000, 0.3): mean 600, standard deviation 20.5.
    assert np.abs(counts - 600).max() < 5 * 20.5


PURPOSES = [None, "warm_up", "self_filter", "explorer", "questions", "scalselect text_only"]


@pytest.mark.parametrize("seed", range(3))
def test_draws_for_different_purposes_share_what_chance_gives(seed):
    ids, n = [f"s{i}" for i in range(4000)], 800
    drawn = [set(ordering.draw(ids, n, seed, purpose).tolist()) for purpose in PURPOSES]
    # Hypergeometric: mean 160, standard deviation 10.1; 15 pairs, three seeds.
    shared = [len(one & other) for one, other in combinations(drawn, 2)]
    assert max(abs(count - 160) for count in shared) < 4 * 10.2


def test_the_order_of_random_is_that_of_a_hash_without_a_purpose():
    ids = [f"s{i}" for i in range(50)]
    hashes = [blake2b(f"7:{name}".encode(), digest_size=8).digest() for name in ids]
    expected = sorted(range(50), key=hashes.__getitem__)[:10]
    assert ordering.draw(ids, 10, 7, None).tolist() == expected


def slow_split(n, sizes):
    exact = [Fraction(n * s, sum(sizes)) for s in sizes]
    split = [int(share) for share in exact]
    order = sorted(range(len(sizes)), key=lambda i: (split[i] - exact[i], i))
    for i in order[: n - sum(split)]:
        split[i] += 1
    return split


def test_proportional_split_agrees_with_largest_remainder():
    rng = np.random.default_rng(3)
    for _ in range(200):
        sizes = rng.integers(0, 40, int(rng.integers(1, 6))) + 1
        n = int(rng.integers(0, sizes.sum() + 1))
        split = ordering.proportional_split(n, sizes)
        assert split.tolist() == slow_split(n, sizes.tolist())
        assert (split <= sizes).all()
