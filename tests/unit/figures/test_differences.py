"""Text beside a row: no mark if the interval contains zero."""

import pytest

from vlselect.figures.differences import difference, signed

NONE = float("nan")


def row(verdict, p_holm=NONE, low=NONE, high=NONE, value=2.14):
    return {"difference": value, "low": low, "high": high, "p_holm": p_holm, "verdict": verdict}


@pytest.mark.parametrize(
    ("content", "mark", "text"),
    [
        (row("higher", 0.01, 0.44, 3.84), "\u25b2", "+2.1 [0.4, 3.8]"),
        (row("higher", 0.2, 0.44, 3.84), "\u25b3", "+2.1 [0.4, 3.8]"),
        (row("lower", 0.01, -3.8, -0.4, -2.1), "\u25bc", "−2.1 [−3.8, −0.4]"),
        (row("lower", 0.2, -3.8, -0.4, -2.1), "\u25bd", "−2.1 [−3.8, −0.4]"),
        (row("no difference shown", 0.01, -0.4, 3.8), "", "+2.1 [−0.4, 3.8]"),
        (row("no difference shown"), "", "+2.1"),
    ],
)
def test_mark_and_text(content, mark, text):
    assert difference(content) == (mark, text)


def test_zero_has_no_sign():
    assert signed(-0.04) == "0.0" and signed(0.04) == "0.0" and signed(-0.06) == "−0.1"
