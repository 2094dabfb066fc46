"""Counts of votes, against loops."""

import numpy as np
import pandas as pd
import pytest

from vlselect.tables.declarations import Run
from vlselect.tables.votes_histogram import voters, votes_histogram


def random_votes(n=120, tasks=("p", "q", "r", "s"), seed=0):
    generator = np.random.default_rng(seed)
    influence = pd.DataFrame({task: generator.normal(size=n).round(1) for task in tasks})
    votes = (influence >= influence.quantile(0.8)).astype(np.uint8)
    return influence, votes


def test_voters_are_the_columns_between():
    frame = pd.DataFrame(columns=["row", "b", "a", "votes", "mean_rank"])
    assert voters(frame) == ["b", "a"]


def test_histogram_against_counting():
    _, votes = random_votes()
    counts = votes.sum(axis=1).to_numpy(np.int64)
    chosen = np.argsort(-counts, kind="stable")[:30]
    table = votes_histogram(counts, 4, {Run("", "icons", "0.25", "0"): chosen})
    assert table["votes"].tolist() == [0, 1, 2, 3, 4]
    assert table["n"].tolist() == [sum(counts == value) for value in range(5)]
    assert table["selected"].tolist() == [sum(counts[chosen] == value) for value in range(5)]
    assert table["share"].sum() == pytest.approx(1.0)


def test_histogram_refuses_more_votes_than_tasks():
    with pytest.raises(ValueError, match="5 votes, but only 4"):
        votes_histogram(np.array([0, 5]), 4, {})
