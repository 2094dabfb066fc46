import random

import pytest
from official import needs_scorers, read_json

from vlselect.benchmarks.metrics.anls import edit_distance, evaluate, similarity


def slow_distance(first, second):
    """Compute the distance by its recursive definition."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        slow_distance(first[1:], second) + 1,
        slow_distance(first, second[1:]) + 1,
        slow_distance(first[1:], second[1:]) + (first[0] != second[0]),
    )


def test_distance_agrees_with_its_definition():
    generator = random.Random(0)
    for _ in range(60):
        first, second = ("".join(generator.choices("abé", k=generator.randrange(6))) for _ in "12")
        assert edit_distance(first, second) == slow_distance(first, second)
        assert edit_distance(first, second) == edit_distance(second, first)


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("abc", "abc", 1),
        ("ABC", "abc", 1),
        ("  New \n York ", "new york", 1),
        ("Don't", "Won't", 0.8),
        ("$1,000", "$1.000", 5 / 6),
        ("ab", "ax", 0),  # half of it wrong is too much
        ("Straße", "strasse", 5 / 7),
        ("café", "cafe", 0.75),
        ("", "abc", 0),
        ("", "", 1),
        ("The total on the receipt is 15.20", "15.20", 0),
        ("I cannot read this document.", "15.20", 0),
    ],
)
def test_similarity(prediction, answer, expected):
    assert similarity(prediction, answer, 0.5) == pytest.approx(expected)


def test_the_closest_answer_counts_and_the_threshold_is_an_option():
    examples = [{"answers": ["wrong", "ab"]}]
    assert evaluate(["ax"], examples).summary["score"] == 0
    assert evaluate(["ax"], examples, threshold=0.6).summary["score"] == 50


@needs_scorers
def test_published_cases_score_as_published():
    cases = read_json("chartqa/relaxed_cases.json")
    evaluation = evaluate(cases["predictions"], [{"answers": a} for a in cases["targets"]])
    assert round(evaluation.summary["score"], 10) == cases["expected"]["anls"]
