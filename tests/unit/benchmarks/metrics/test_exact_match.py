import pytest
from official import expected, needs_scorers, read_json

from vlselect.benchmarks.metrics.exact_match import evaluate, normalise


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


def test_verbatim_forgives_nothing():
    examples = [{"answers": ["yes"]}] * 4
    evaluation = evaluate(["yes", "Yes", "yes.", " yes"], examples, verbatim=True)
    assert evaluation.scores.tolist() == [1, 0, 0, 0]


@needs_scorers
def test_seven_sets_of_chosen_options_score_as_a_okvqa_says():
    questions = read_json("vqa/aokvqa_v1p0_val.json")
    examples = [{"answers": [q["choices"][q["correct_choice_idx"]]]} for q in questions]
    for name, predictions in read_json("vqa/aokvqa_probe_scores.json")["sets"].items():
        score = evaluate(predictions["predictions"], examples, verbatim=True).summary["score"]
        assert round(score, 4) == expected(f"vqa_probe/{name}")["aokvqa_multiple_choice"]


@needs_scorers
def test_published_cases_score_as_published():
    cases = read_json("chartqa/relaxed_cases.json")
    examples = [{"answers": targets} for targets in cases["targets"]]
    evaluation = evaluate(cases["predictions"], examples, verbatim=True)
    assert evaluation.summary["score"] == cases["expected"]["exact_match"]
