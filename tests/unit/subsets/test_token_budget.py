"""Budgets in tokens: the longest beginning that fits, and never a token more."""

import numpy as np
import pandas as pd
import pytest
from method_signals import METHODS, make_pool, make_signals, runner_of

from vlselect.core.errors import InfeasibleError
from vlselect.subsets.constraints import Chosen, Constraints
from vlselect.subsets.token_budget import fill, read_tokens


def ranking(order):
    def choose(n):
        if n > len(order):
            raise InfeasibleError("too many")
        return Chosen(np.array(order[:n]))

    return choose


def test_of_a_ranking_it_is_the_longest_beginning_that_fits():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 80))
        tokens = rng.integers(1, 50, n) ** 2
        order = rng.permutation(n)
        used = np.cumsum(tokens[order])
        limit = int(rng.integers(used[0], used[-1] + 1))
        chosen = fill(ranking(order), tokens, limit)
        assert len(chosen.rows) == np.searchsorted(used, limit, side="right")


def test_few_questions_are_enough():
    rng = np.random.default_rng(1)
    tokens, asked = rng.integers(300, 1500, 665_000), []
    order = rng.permutation(len(tokens))

    def choose(n):
        asked.append(n)
        return Chosen(order[:n])

    chosen = fill(choose, tokens, 120_000_000)
    assert tokens[chosen.rows].sum() <= 120_000_000 < tokens[order[: len(chosen.rows) + 1]].sum()
    assert len(asked) < 25


@pytest.mark.parametrize("method", METHODS)
def test_no_method_exceeds_it_and_one_more_sample_would(tmp_path, method):
    rng = np.random.default_rng(6)
    pool = make_pool(rng)
    ask = runner_of(method, pool, make_signals(tmp_path, rng, pool))
    tokens = rng.integers(20, 900, len(pool))
    bounds = {"minimum": {"text": 1, "photos": 0.2}, "maximum": {"charts": 0.5}}
    for constraints in (Constraints(pool), Constraints(pool, bounds=bounds)):
        least = constraints.smallest()
        for limit in (3000, 9000, 15000):
            chosen = fill(lambda n, c=constraints: c.choose(ask, n), tokens, limit, least)
            assert tokens[chosen.rows].sum() <= limit
            try:
                more = constraints.choose(ask, len(chosen.rows) + 1)
            except InfeasibleError:
                continue
            assert tokens[more.rows].sum() > limit
            again = fill(lambda n, c=constraints: c.choose(ask, n), tokens, limit, least)
            assert again.rows.tolist() == chosen.rows.tolist()


def test_what_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="tokens-9: the smallest choice, 1 samples, has 10 tokens"):
        fill(ranking([0, 1]), np.array([10, 1]), 9)
    with pytest.raises(ValueError, match="tokens-12 does not fit a pool of 11 tokens"):
        fill(ranking([0, 1]), np.array([10, 1]), 12)
    with pytest.raises(InfeasibleError):
        fill(ranking([0, 1]), np.array([1, 1]), 2, least=3)
    assert len(fill(ranking([0, 1]), np.array([1, 1]), 2).rows) == 2


def test_tokens_are_read_from_all_shards(tmp_path):
    table = pd.DataFrame({"row": range(5), "tokens": [5, 6, 7, 8, 9], "response_tokens": 1})
    paths = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    table[:2].to_parquet(paths[1]), table[2:].to_parquet(paths[0])
    assert read_tokens(paths, 5).tolist() == [5, 6, 7, 8, 9]
    with pytest.raises(ValueError, match="do not hold the tokens of 5"):
        read_tokens(paths[:1], 5)
    with pytest.raises(ValueError, match="needs the tables"):
        read_tokens([], 5)
