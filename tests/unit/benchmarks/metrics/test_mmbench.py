import numpy as np
import pytest
from official import expected, needs_scorers, read_sheet

from vlselect.benchmarks.metrics.mmbench import evaluate, parse_letter

ANIMALS = ["a dog", "a cat", "a black bear", "none"]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("(B)", "B"),
        ("b", "B"),
        ("(b).", "B"),
        ("B. a cat", "B"),
        ("Answer: B", "B"),
        ("**B**", "B"),
        ("The answer is B.", "B"),
        ("The correct option is {B}, since a dog barks", "B"),
        ("A", "A"),
        ("A. a dog", "A"),
        ("A dog", "A"),
        ("A cat sits on the mat", "B"),  # the A is an article, and the text says which
        ("A fish is in the water", None),
        ("a cat", "B"),
        ("A Black Bear.", "C"),
        ("It must be a black bear", "C"),
        ("a dog or a cat", None),
        ("A or B", None),
        ("E", None),
        ("answer: b", None),
        ("Ｂ", None),
        ("", None),
        ("I do not know", None),
        ("Sorry, I can't help with images of people yet. B", None),
        ("Cannot determine the answer: a dog", None),
    ],
)
def test_choices(text, letter):
    assert parse_letter(text, ANIMALS) == letter


def test_one_option_inside_another_is_ambiguous_but_for_whole_answers():
    assert parse_letter("10", ["1", "10"]) == "B"
    assert parse_letter("there are 10", ["1", "10"]) is None
    assert parse_letter("none of them", ["One.", "None of them."]) == "B"


def sample(index, answer, choices=("x1", "x2"), **more):
    record = {"index": index, **more}
    name = f"s-{index}"
    return {"sample_id": name, "answers": [answer], "choices": list(choices), "record": record}


def shifts(question, n, **more):
    """Return all shifts of a question with n options, of which the first is right."""
    options = [f"x{i}" for i in range(n)]
    return [
        sample(question + 10**6 * i, "ABCD"[(n - i) % n], [*options[i:], *options[:i]], **more)
        for i in range(n)
    ]


def test_a_question_is_right_where_all_its_shifts_are():
    examples = [*shifts(7, 2, category="a"), *shifts(8, 3, category="b"), *shifts(9, 2)]
    predictions = ["A", "x0", "A", "A", "B", "B", "b"]
    evaluation = evaluate(predictions, examples)
    assert evaluation.scores.tolist() == [1, 1, 1, 0, 1, 0, 1]
    assert evaluation.summary == {
        "score": pytest.approx(100 / 3),
        "n": 7,
        "questions": 3,
        "vanilla": pytest.approx(200 / 3),
        "categories": {"a": 100, "b": 0},
        "unparsed": 0,
    }


def test_order_does_not_matter():
    examples = [sample for question in range(20) for sample in shifts(question, 4)]
    predictions = np.random.default_rng(0).choice(list("AABCD"), 80).tolist()
    order = np.random.default_rng(1).permutation(80)
    shuffled = evaluate([predictions[i] for i in order], [examples[i] for i in order])
    assert shuffled.summary == evaluate(predictions, examples).summary


def test_indices_may_be_texts_and_empty_options_are_none():
    examples = [sample("3", "A", ["x", "y", "", " "]), sample("1000003", "y", ["y", "x", "", ""])]
    summary = evaluate(["A", "D"], examples).summary
    assert (summary["vanilla"], summary["score"], summary["unparsed"]) == (100, 0, 1)


@pytest.mark.parametrize(
    ("examples", "complaint"),
    [
        ([sample(3, "A")], "question 3 comes in one order only"),
        ([sample(3, "A"), sample(3, "A")], "index 3 comes twice"),
        ([{**sample(3, "A"), "record": {}}], "'s-3' has no 'index'"),
        ([sample("x", "A")], "'s-x': index 'x'"),
        ([sample(3, "C"), sample(1000003, "C")], "'s-3'.*not one of its options"),
        ([{**sample(3, "A"), "choices": None}], "'s-3' has no 'choices'"),
        ([], "no predictions"),
    ],
)
def test_what_cannot_be_scored_is_named(examples, complaint):
    with pytest.raises(ValueError, match=complaint):
        evaluate(["A"] * len(examples), examples)


@needs_scorers
def test_real_outputs_score_as_published():
    rows = read_sheet("mmbench/mmbench-dev-upload-13b.xlsx")
    examples = [sample(row["index"], row["answer"], [row[c] for c in "ABCD"]) for row in rows]
    summary = evaluate([row["prediction"] for row in rows], examples).summary
    official = expected("mmbench_dev/llava-v1.5-13b")
    assert (summary["n"], summary["questions"]) == (official["rows"], official["questions"])
    assert round(summary["vanilla"], 4) == official["vanilla"]
    assert round(summary["score"], 4) == official["circular"]
    assert summary["unparsed"] == 0
