"""Samples without an image: their share, drawn, or none."""

from itertools import combinations

import numpy as np
import pytest

from vlselect.core.ordering import draw
from vlselect.methods.maths import text_only


def with_text_only(*arguments, policy="proportional", method="scalselect", **keys):
    return text_only.with_text_only(*arguments, policy=policy, method=method, **keys)


def test_text_only_draws_of_methods_share_what_chance_gives():
    ids = [f"s{i}" for i in range(4000)]
    scores, has_image = np.arange(4000.0), np.arange(4000) >= 2000
    chosen = [set(draw(ids, 800, 0, None).tolist())]
    for method in ("scalselect", "clip_score"):
        selection = with_text_only(scores, has_image, 800, 0, sample_ids=ids, method=method)
        chosen.append({row for row in selection.rows.tolist() if row < 2000})
    # 400 of 2000 each, by `random` about as many: mean 80, standard deviation 7.2 to 8
    for one, other in combinations(chosen, 2):
        assert abs(len(one & other) - 80) < 4 * 8


def test_text_only_samples_get_their_share():
    ids = [f"s{i}" for i in range(10)]
    has_image = np.arange(10) < 7
    scores = np.where(has_image, np.arange(10.0), np.nan)
    selection = with_text_only(scores, has_image, 5, 0, sample_ids=ids)
    selection.check(5, 10)
    assert selection.rows[:3].tolist() == [6, 5, 4]  # 3.5 and 1.5: the first remainder wins
    assert selection.rows[3] == 3
    assert selection.rows[4] >= 7
    assert np.isnan(selection.scores[4])
    again = with_text_only(scores, has_image, 5, 0, sample_ids=ids)
    assert np.array_equal(selection.rows, again.rows)
    draws = [with_text_only(scores, has_image, 5, s, sample_ids=ids) for s in range(9)]
    assert len({int(one.rows[4]) for one in draws}) > 1


def test_text_only_choice_does_not_depend_on_the_pools_order():
    rng = np.random.default_rng(4)
    ids = np.array([f"s{i}" for i in range(40)], dtype=object)
    scores, has_image = rng.integers(0, 4, 40).astype(float), rng.random(40) < 0.6
    chosen = set(ids[with_text_only(scores, has_image, 15, 1, sample_ids=ids).rows])
    order = rng.permutation(40)
    moved = with_text_only(scores[order], has_image[order], 15, 1, sample_ids=ids[order])
    assert set(ids[order][moved.rows]) == chosen


def test_drop_leaves_text_only_samples_out_and_fails_where_the_rest_is_too_few():
    ids = ["a", "b", "c", "d"]
    has_image = [True, False, True, False]
    selection = with_text_only([1, 9, 2, 9], has_image, 2, 0, policy="drop", sample_ids=ids)
    assert selection.rows.tolist() == [2, 0]
    with pytest.raises(ValueError, match="2 samples with an image, fewer than the budget of 3"):
        with_text_only([1, 9, 2, 9], has_image, 3, 0, policy="drop", sample_ids=ids)
    with pytest.raises(ValueError, match="text_only 'skip'"):
        with_text_only([1, 9, 2, 9], has_image, 1, 0, policy="skip", sample_ids=ids)


def test_with_text_only_refuses_nan_for_a_sample_with_an_image():
    with pytest.raises(ValueError, match="NaN"):
        with_text_only([np.nan, 1.0], [True, False], 1, 0, sample_ids=["a", "b"])


def test_all_or_no_samples_may_be_text_only():
    ids = ["a", "b", "c"]
    nothing = np.full(3, np.nan)
    with_text_only(nothing, [False] * 3, 2, 0, sample_ids=ids).check(2, 3)
    with_text_only([1, 2, 3], [True] * 3, 2, 0, sample_ids=ids).check(2, 3)
