"""Histogram, agreement and extremes of votes, compared with loops."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vlselect.tables import agreement
from vlselect.tables.declarations import Run


def random_votes(n=120, tasks=("p", "q", "r", "s"), seed=0):
    generator = np.random.default_rng(seed)
    influence = pd.DataFrame({task: generator.normal(size=n).round(1) for task in tasks})
    votes = (influence >= influence.quantile(0.8)).astype(np.uint8)
    return influence, votes


def test_voters_are_the_columns_between():
    frame = pd.DataFrame(columns=["row", "b", "a", "votes", "mean_rank"])
    assert agreement.voters(frame) == ["b", "a"]


def test_histogram_against_counting():
    _, votes = random_votes()
    counts = votes.sum(axis=1).to_numpy(np.int64)
    chosen = np.argsort(-counts, kind="stable")[:30]
    table = agreement.votes_histogram(counts, 4, {Run("", "icons", "0.25", "0"): chosen})
    assert table["votes"].tolist() == [0, 1, 2, 3, 4]
    assert table["n"].tolist() == [sum(counts == value) for value in range(5)]
    assert table["selected"].tolist() == [sum(counts[chosen] == value) for value in range(5)]
    assert table["share"].sum() == pytest.approx(1.0)


def test_histogram_refuses_more_votes_than_tasks():
    with pytest.raises(ValueError, match="5 votes, but only 4"):
        agreement.votes_histogram(np.array([0, 5]), 4, {})


def test_agreement_against_scipy_and_sets():
    influence, votes = random_votes()
    table = agreement.task_agreement(influence, votes)
    assert len(table) == 4 * 5 // 2
    for row in table.to_dict("records"):
        a, b = influence[row["task_a"]], influence[row["task_b"]]
        assert row["pearson"] == pytest.approx(stats.pearsonr(a, b).statistic)
        assert row["spearman"] == pytest.approx(stats.spearmanr(a, b).statistic)
        first = set(np.flatnonzero(votes[row["task_a"]]))
        second = set(np.flatnonzero(votes[row["task_b"]]))
        assert row["jaccard"] == pytest.approx(len(first & second) / len(first | second))


def test_agreement_does_not_depend_on_the_order_of_rows():
    influence, votes = random_votes(seed=1)
    order = np.random.default_rng(0).permutation(len(influence))
    pd.testing.assert_frame_equal(
        agreement.task_agreement(influence, votes),
        agreement.task_agreement(influence.iloc[order], votes.iloc[order]),
    )


def test_constant_influence_has_no_correlation():
    influence = pd.DataFrame({"p": [0.1, 0.1, 0.1], "q": [1.0, 2.0, 3.0]})
    votes = pd.DataFrame({"p": [0, 0, 0], "q": [0, 0, 0]})
    table = agreement.task_agreement(influence, votes).set_index(["task_a", "task_b"])
    assert table.loc[("p", "q")].isna().all()
    assert table.loc[("q", "q"), "pearson"] == pytest.approx(1.0)


def test_extremes_against_sorting():
    generator = np.random.default_rng(3)
    votes = generator.integers(0, 4, size=50)
    rank = generator.random(50).round(1)
    eligible = generator.random(50) < 0.7
    most, least = agreement.extreme_rows(votes, rank, eligible, 6)
    rows = [row for row in range(50) if eligible[row]]
    assert most.tolist() == sorted(rows, key=lambda row: (-votes[row], -rank[row], row))[:6]
    assert least.tolist() == sorted(rows, key=lambda row: (votes[row], rank[row], row))[:6]


def test_no_sample_is_at_both_extremes():
    votes, rank = np.zeros(5, dtype=np.uint16), np.zeros(5)
    most, least = agreement.extreme_rows(votes, rank, np.ones(5, dtype=bool), 12)
    assert len(most) == len(least) == 2
    assert not set(most) & set(least)


def test_without_images_there_are_no_extremes():
    most, least = agreement.extreme_rows(np.ones(3, int), np.ones(3), np.zeros(3, bool), 12)
    assert len(most) == len(least) == 0
