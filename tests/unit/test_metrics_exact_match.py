import pytest

from vlselect.metrics.exact_match import evaluate, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes", "yes"),
        (" a  Red\n ball. ", "a red ball"),
        ("e.g. this", "e.g. this"),
        ("3.5", "3.5"),
        ("the ball", "the ball"),
        ("well ...", "well"),
        ("", ""),
    ],
)
def test_case_blanks_and_full_stop_do_not_count(text, expected):
    assert normalise(text) == expected


def test_any_of_the_answers_counts():
    examples = [{"answers": ["yes"]}, {"answers": ["two", "2"]}, {"answers": ["left"]}]
    evaluation = evaluate(["Yes.", "2", "on the left"], examples)
    assert evaluation.scores.tolist() == [1, 1, 0]
    assert evaluation.summary["score"] == pytest.approx(200 / 3)
    assert evaluation.summary["n"] == 3
