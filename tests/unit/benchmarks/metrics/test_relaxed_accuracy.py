import pytest
from official import needs_scorers, read_json

from vlselect.benchmarks.metrics.relaxed_accuracy import agree, evaluate


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("100", "100", True),
        ("105", "100", True),
        ("105.1", "100", False),
        ("95", "100", True),
        ("94.9", "100", False),
        ("-10", "-10.4", True),
        ("10", "-10", False),
        ("96%", "0.96", True),
        ("96", "96%", False),
        ("0.0001", "0", False),
        ("0", "0", True),
        ("0.0", "0", False),  # an answer of 0 has no relative error, so it is compared as text
        ("1,000", "1000", False),
        ("Blue", "blue", True),
        ("blue.", "blue", False),
        ("nan", "5", False),
        ("inf", "inf", True),
        ("", "5", False),
        ("%", "5", False),
    ],
)
def test_numbers_may_be_off_by_five_percent(prediction, answer, expected):
    assert agree(prediction, answer, 0.05) is expected


def test_tolerance_is_an_option():
    examples = [{"answers": ["100"]}]
    assert evaluate(["109"], examples, tolerance=0.1).summary["score"] == 100
    assert evaluate(["109"], examples).summary["score"] == 0


def test_any_of_the_answers_counts():
    assert evaluate(["7"], [{"answers": ["five", "7.2"]}]).scores.tolist() == [1]


@needs_scorers
def test_published_cases_score_as_published():
    cases = read_json("chartqa/relaxed_cases.json")
    evaluation = evaluate(cases["predictions"], [{"answers": a} for a in cases["targets"]])
    assert evaluation.summary["score"] == cases["expected"]["relaxed_accuracy"]
