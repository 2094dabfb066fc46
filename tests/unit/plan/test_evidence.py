"""What votes, losses, pairs and comparisons of a run say, on tables counted by hand."""

import numpy as np
import pandas as pd
import pytest

from vlselect.core.refused import naming
from vlselect.plan import evidence

N = 100
IDS = np.array([f"s{i:03d}" for i in range(N)], dtype=object)


def votes_of(**tasks):
    """Votes of tasks, each for a range of rows; of equal votes, the first rows rank highest."""
    table = pd.DataFrame({"row": np.arange(N)})
    for task, rows in tasks.items():
        table[task] = np.isin(np.arange(N), rows).astype(int)
    table["votes"] = table[list(tasks)].sum(axis=1)
    table["mean_rank"] = 1 - table["row"] / N
    return table


def test_votes_that_a_budget_has_room_for():
    """Two tasks vote for the same samples and fill the budget; the third is left with nothing."""
    votes = votes_of(a=range(20), b=range(20), c=range(50, 70))
    kept = evidence.kept_votes(votes, IDS, 20)
    assert kept.to_dict() == {"a": 1.0, "b": 1.0, "c": 0.0}
    kept = evidence.kept_votes(votes, IDS, 30)
    assert kept.to_dict() == {"a": 1.0, "b": 1.0, "c": 0.5}
    equal = votes_of(a=range(20)).assign(votes=1, mean_rank=votes["row"] / N)
    assert evidence.kept_votes(equal, IDS, 20)["a"] == 0  # the last rows rank highest now
    refused = naming(votes.copy(), np.arange(50, 60))  # as cast_votes writes them
    refused.loc[50:59, ["a", "b", "c", "votes"]], refused.loc[50:59, "mean_rank"] = 0, np.nan
    assert evidence.kept_votes(refused, IDS, 25)["c"] == 0.5


def test_overlaps_are_means_over_the_other_tasks_and_seeds():
    rows = [(s, a, b, j) for s in "01" for a, b, j in (("a", "a", 1), ("b", "b", 1), ("c", "c", 1))]
    rows += [("0", "a", "b", 0.4), ("0", "a", "c", 0.1), ("0", "b", "c", 0.1)]
    rows += [("1", "a", "b", 0.6), ("1", "a", "c", 0.1), ("1", "b", "c", 0.3)]
    table = pd.DataFrame(rows, columns=["seed", "task_a", "task_b", "jaccard"])
    found = evidence.overlaps(table)
    assert found.to_dict() == pytest.approx({"a": 0.3, "b": 0.35, "c": 0.15})


def test_overlap_by_chance_is_that_of_independent_votes():
    counts = {0: 640, 1: 320, 2: 40}  # two tasks, each votes for 20 % of 1,000
    rows = [("0.1", str(seed), v, n) for seed in (0, 1) for v, n in counts.items()]
    table = pd.DataFrame(rows, columns=["ratio", "seed", "votes", "n"])
    mean = evidence.mean_votes(table)
    assert mean == pytest.approx(0.4)
    assert evidence.chance_overlap(mean, 2) == pytest.approx(40 / 360)


def test_votes_overlap_as_their_table_says():
    votes = votes_of(a=range(20), b=range(10, 30), c=range(50, 70))
    assert evidence.vote_overlaps(votes).to_dict() == pytest.approx(
        {"a": 1 / 6, "b": 1 / 6, "c": 0}
    )


def slow_split(values):
    """Try every cut."""
    values, best = np.sort(values), (0.0, 0.0)
    for cut in range(1, len(values)):
        low, high = values[:cut], values[cut:]
        within = low.var() * len(low) + high.var() * len(high)
        explained = 1 - within / (values.var() * len(values))
        best = max(best, (explained, len(high) / len(values)))
    return best[::-1]


def test_a_split_is_the_best_of_all_cuts():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=80), rng.exponential(size=81), rng.integers(0, 4, 50)):
        assert evidence.split(values) == pytest.approx(slow_split(values))
    assert evidence.split(np.ones(9)) == (0, 0) == evidence.split(np.array([3.0]))


@pytest.mark.parametrize("noise", [0.03, 0.12, 0.3])
def test_wrong_answers_are_counted_where_their_losses_stand_apart(noise):
    rng = np.random.default_rng(1)
    n, wrong = 2000, round(2000 * noise)
    learnt = np.r_[rng.exponential(0.1, n - wrong), rng.normal(4, 1, wrong)]
    not_learnt = rng.normal(2, 0.5, n)  # right or wrong, all are surprising
    sources = np.array(["learnt"] * n + ["other"] * n + ["few"] * 20 + ["learnt"], dtype=object)
    losses = np.r_[learnt, not_learnt, [0] * 15, [9] * 5, np.nan]  # the last one is refused
    order = rng.permutation(len(losses))
    found = evidence.wrong_answers(losses[order], sources[order])
    assert list(found.index) == ["learnt"] and found["learnt"] == pytest.approx(noise, abs=0.01)


@pytest.mark.parametrize("law", ["normal", "exponential", "uniform"])
def test_losses_of_one_kind_are_not_split(law):
    values = getattr(np.random.default_rng(2), law)(size=5000)
    assert not evidence.split(values).two_kinds


def test_a_few_that_are_easy_make_no_others_wrong():
    values = np.r_[np.zeros(10), np.random.default_rng(3).normal(4, 0.3, 90)]
    found = evidence.split(values)
    assert found.explained > evidence.TWO_KINDS and found.share == 0.9 and not found.two_kinds


def test_repeated_samples_are_those_beyond_the_first_of_their_kind():
    digests = pd.Series(list("aabcdefghi"))
    assert evidence.repeated(None, digests) == pytest.approx(0.1)
    pairs = pd.DataFrame({"row_a": [1, 3, 4], "row_b": [2, 4, 5]})
    assert evidence.repeated(pairs, digests) == pytest.approx(0.4)  # aab, def: two and two
    assert evidence.repeated(pairs[:0], digests) == pytest.approx(0.1)


def test_the_best_method_is_shown_to_be_above_random():
    rows = [
        ("a", 9, "higher"),
        ("a", 1, "lower"),  # above at one budget, below at another
        ("b", 3, "higher"),
        ("b", 2, "no difference shown"),
        ("c", 5, "no difference shown"),
        ("d", 2, "higher"),
    ]
    table = pd.DataFrame(rows, columns=["method", "difference", "verdict"])
    assert evidence.best(table) == "b"
    assert evidence.best(table[table["method"] == "c"]) is None
