"""Columns of the likelihood signals, and parts of a ranking."""

import json

import numpy as np
import pytest
from array_files import write_shards

from vlselect.core.store import ShardedArray
from vlselect.methods.maths.rankings import keep_part, likelihood_column

COLUMNS = json.dumps(["nll", "el2n", "margin"])


def likelihood(folder, n=130, shards=2, columns=COLUMNS):
    values = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    return values, ShardedArray(write_shards(folder, values, shards, columns=columns))


def test_a_column_is_found_by_its_name(tmp_path):
    values, array = likelihood(tmp_path)
    np.testing.assert_array_equal(likelihood_column(array, "margin", 130), values[:, 2])
    swapped = json.dumps(["margin", "el2n", "nll"])
    _, array = likelihood(tmp_path, columns=swapped)
    np.testing.assert_array_equal(likelihood_column(array, "margin", 130), values[:, 0])


def test_wrong_likelihoods_are_errors(tmp_path, monkeypatch):
    values, array = likelihood(tmp_path)
    with pytest.raises(ValueError, match="no 'entropy'"):
        likelihood_column(array, "entropy", 130)
    with pytest.raises(ValueError, match="131 samples"):
        likelihood_column(array, "nll", 131)
    values[77, 1] = np.nan  # our shard writer refuses it; other programs may not
    monkeypatch.setattr(ShardedArray, "__getitem__", lambda self, rows: values)
    with pytest.raises(ValueError, match="el2n of row 77"):
        likelihood_column(array, "el2n", 130)


def middle_by_hand(scores, ids, budget):
    """Sort, then take samples from the middle outwards."""
    order = [row for _, _, row in sorted(zip(scores, ids, range(len(ids)), strict=True))]
    low = high = None
    taken = []
    while len(taken) < budget:
        if low is None:
            low = high = (len(order) - 1) // 2
            taken.append(order[low])
        elif (high + 1) - (len(order) - 1) / 2 < (len(order) - 1) / 2 - (low - 1):
            high += 1
            taken.append(order[high])
        else:
            low -= 1
            taken.append(order[low])
    return taken


@pytest.mark.parametrize("n", [9, 10])
def test_windows_against_hand_made_ones(n):
    rng = np.random.default_rng(n)
    scores = rng.integers(0, 5, n).astype(float)  # many ties
    ids = [f"s{i:02d}" for i in rng.permutation(n)]
    for budget in range(n + 1):
        middle = keep_part(scores, budget, ids, "middle").rows.tolist()
        assert middle == middle_by_hand(scores, ids, budget)
        top = sorted(range(n), key=lambda row: (-scores[row], ids[row]))[:budget]
        assert keep_part(scores, budget, ids, "top").rows.tolist() == top
        bottom = sorted(range(n), key=lambda row: (scores[row], ids[row]))[:budget]
        assert keep_part(scores, budget, ids, "bottom").rows.tolist() == bottom


def test_the_middle_is_a_window_around_the_median():
    scores = np.random.default_rng(1).normal(size=101)
    chosen = keep_part(scores, 21, [f"{i:03d}" for i in range(101)], "middle")
    np.testing.assert_array_equal(np.sort(chosen.scores), np.sort(scores)[40:61])
    assert chosen.scores[0] == np.median(scores)


@pytest.mark.parametrize("keep", ["top", "middle", "bottom"])
def test_bad_input_is_an_error(keep):
    ids = list("abcd")
    with pytest.raises(ValueError, match=r"row 1 \(b\) is NaN"):
        keep_part([1, np.nan, 2, 3], 2, ids, keep)
    with pytest.raises(ValueError, match="budget of 5"):
        keep_part([1, 0, 2, 3], 5, ids, keep)
    with pytest.raises(ValueError, match="'outer'"):
        keep_part([1, 0, 2, 3], 2, ids, "outer")
