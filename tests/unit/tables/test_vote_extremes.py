"""Extremes of votes, against sorting."""

import numpy as np

from vlselect.tables.vote_extremes import extreme_rows


def test_extremes_against_sorting():
    generator = np.random.default_rng(3)
    votes = generator.integers(0, 4, size=50)
    rank = generator.random(50).round(1)
    eligible = generator.random(50) < 0.7
    most, least = extreme_rows(votes, rank, eligible, 6)
    rows = [row for row in range(50) if eligible[row]]
    assert most.tolist() == sorted(rows, key=lambda row: (-votes[row], -rank[row], row))[:6]
    assert least.tolist() == sorted(rows, key=lambda row: (votes[row], rank[row], row))[:6]


def test_no_sample_is_at_both_extremes():
    votes, rank = np.zeros(5, dtype=np.uint16), np.zeros(5)
    most, least = extreme_rows(votes, rank, np.ones(5, dtype=bool), 12)
    assert len(most) == len(least) == 2
    assert not set(most) & set(least)


def test_without_images_there_are_no_extremes():
    most, least = extreme_rows(np.ones(3, int), np.ones(3), np.zeros(3, bool), 12)
    assert len(most) == len(least) == 0
