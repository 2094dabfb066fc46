"""Strata: proportional shares, the best of each, whatever the order of the rows."""

import numpy as np
import pytest

from vlselect.core.ordering import proportional_split
from vlselect.methods.maths.strata import best_of_strata


def slow_best(scores, strata, budget, ids):
    """Walk down the ranking and take what its stratum has room for."""
    room = dict(enumerate(proportional_split(budget, np.bincount(strata)).tolist()))
    chosen = []
    for row in sorted(range(len(scores)), key=lambda i: (-scores[i], ids[i])):
        if room[strata[row]]:
            room[strata[row]] -= 1
            chosen.append(row)
    return chosen


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_a_walk_down_the_ranking(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    scores, strata = rng.integers(0, 9, n) / 4, rng.integers(0, 7, n)
    ids = [f"s{i:02d}" for i in rng.permutation(n)]
    for budget in (0, n // 3, n):
        got = best_of_strata(scores, strata, budget, ids).tolist()
        assert got == slow_best(scores, strata, budget, ids) and len(got) == budget


def test_no_part_of_the_budget_is_lost_to_rounding():
    strata = np.repeat(np.arange(20), 9)  # a budget of 27 is 1.35 a stratum: floors leave 7 over
    ids = [f"s{i:03d}" for i in range(180)]
    rows = best_of_strata(np.arange(180.0), strata, 27, ids)
    counts = np.bincount(strata[rows], minlength=20)
    assert len(rows) == 27 and set(counts) == {1, 2}


def test_an_empty_stratum_and_nan():
    assert best_of_strata([1.0, 2.0], [3, 0], 2, ["a", "b"]).tolist() == [1, 0]
    assert not len(best_of_strata([], np.empty(0, int), 0, []))
    with pytest.raises(ValueError, match="NaN"):
        best_of_strata([np.nan, 2.0], [0, 0], 1, ["a", "b"])
