"""What a method hands back is checked."""

import numpy as np
import pytest

from vlselect.core.selection import Selection


def test_selection_fills_in_missing_scores():
    selection = Selection([3, 1])
    assert selection.rows.dtype == np.int64
    assert np.isnan(selection.scores).all()
    selection.check(2, 4)


@pytest.mark.parametrize(
    ("rows", "scores"),
    [([0.5, 1.0], None), ([[0, 1]], None), ([0, 1], [1.0]), ([0, 1], [1.0, np.inf])],
)
def test_selection_refuses_malformed_arrays(rows, scores):
    with pytest.raises(ValueError):
        Selection(rows, scores)


@pytest.mark.parametrize(
    ("rows", "message"),
    [([0], "budget of 2"), ([0, 1, 2], "budget of 2"), ([1, 1], "row 1 more"), ([0, 4], "row 4")],
)
def test_check_names_what_is_wrong(rows, message):
    with pytest.raises(ValueError, match=message):
        Selection(rows).check(2, 4)
