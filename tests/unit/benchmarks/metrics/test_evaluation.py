import pytest

from vlselect.benchmarks.metrics.evaluation import (
    field,
    option_letter,
    pairs,
    percentages,
    summarise,
)


def test_summary_is_the_mean_in_percent():
    evaluation = summarise([1, 0.5, 0, 0], unparsed=2)
    assert evaluation.summary == {"score": 37.5, "n": 4, "unparsed": 2}
    assert evaluation.scores.tolist() == [1, 0.5, 0, 0]


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="no predictions"):
        summarise([])


def test_lengths_have_to_agree():
    with pytest.raises(ValueError, match="2 predictions for 1 examples"):
        pairs(["a", "b"], [{"answers": ["a"]}])


@pytest.mark.parametrize("answers", [None, []])
def test_a_sample_without_answers_is_named(answers):
    with pytest.raises(ValueError, match="'s-1' has no answers"):
        pairs(["a"], [{"sample_id": "s-1", "answers": answers}])


def test_a_field_is_a_column_or_a_key_of_the_record():
    example = {"sample_id": "s", "images": ["a"], "record": {"images": ["b"], "index": 0}}
    assert field(example, "images") == ["a"]
    assert field(example, "index") == 0


@pytest.mark.parametrize("record", [None, {}, {"index": None}])
def test_a_missing_field_is_named(record):
    with pytest.raises(ValueError, match="'s' has no 'index'"):
        field({"sample_id": "s", "record": record}, "index")


@pytest.mark.parametrize(
    ("answer", "choices", "letter"),
    [
        ("B", None, "B"),
        ("b ", [], "B"),
        ("a dog", ["a cat", "a dog"], "B"),
        ("A", ["C", "A"], "A"),  # a letter is a position, even if options are letters
    ],
)
def test_right_options_are_letters_or_texts(answer, choices, letter):
    assert option_letter({"choices": choices}, answer) == letter


@pytest.mark.parametrize(("answer", "choices"), [("E", ["x", "y"]), ("x", ["x", "x"]), ("", [])])
def test_an_answer_that_is_no_option_is_named(answer, choices):
    with pytest.raises(ValueError, match="'s'.*not one of its options"):
        option_letter({"sample_id": "s", "choices": choices}, answer, len(choices))


def test_percentages_are_in_alphabetical_order():
    assert list(percentages({"b": [1, 0], "a": [1]}).items()) == [("a", 100), ("b", 50)]
