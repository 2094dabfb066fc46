import pytest

from vlselect.benchmarks.metrics.multiple_choice import evaluate, parse_choice

ANIMALS = ["a dog", "a cat", "a black cat", "none of these"]
LETTERS = ["A", "B", "C", "D"]


@pytest.mark.parametrize("choices", [ANIMALS, LETTERS])
@pytest.mark.parametrize(
    "text",
    [
        "B",
        "b",
        " B ",
        "B.",
        "(B)",
        "(b)",
        "B)",
        "B: certainly",
        "B, as one sees",
        "The answer is B",
        "The answer is B.",
        "the correct option is (b).",
        "Answer: B",
        "I would say that the answer is B because of its tail",
    ],
)
def test_letters(text, choices):
    assert parse_choice(text, choices) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", 1),
        ("A cat.", 1),
        ("It is a cat", 1),
        ("This is a black cat", 2),
        ("A black cat or a dog", None),
        ("the answer is a dog", 0),
        ("A dog", 0),
        ("a concatenation", None),
        ("E", None),
        ("The answer is E.", None),
        ("", None),
        ("no idea", None),
        ("The answer is A. No, the answer is B.", None),
        ("C. a dog", 2),
    ],
)
def test_texts(text, expected):
    assert parse_choice(text, ANIMALS) == expected


def test_a_letter_inside_a_sentence_is_no_option():
    assert parse_choice("it is a dog", LETTERS) is None


def test_an_option_that_is_a_letter_is_its_own_text():
    assert parse_choice("A", ["C", "A"]) == 1


def test_numbers_are_found_in_sentences():
    assert parse_choice("there are 3 of them", ["2", "3", "13"]) == 1


def test_scores_and_unparsed():
    examples = [
        {"answers": ["B"], "choices": ANIMALS},
        {"answers": ["a cat"], "choices": ANIMALS},
        {"answers": ["B"], "choices": LETTERS},
        {"answers": ["A"], "choices": ANIMALS},
    ]
    evaluation = evaluate(["(B)", "B. a cat", "C", "who knows"], examples)
    assert evaluation.scores.tolist() == [1, 1, 0, 0]
    assert evaluation.summary == {"score": 50, "n": 4, "unparsed": 1}


@pytest.mark.parametrize(
    ("example", "complaint"),
    [
        ({"sample_id": "s", "answers": ["B"]}, "'s' has no choices"),
        ({"sample_id": "s", "answers": ["B"], "choices": []}, "'s' has no choices"),
        (
            {"sample_id": "s", "answers": ["E"], "choices": ANIMALS},
            "'s': the answer 'E' is not in its choices",
        ),
    ],
)
def test_questions_that_cannot_be_scored_are_named(example, complaint):
    with pytest.raises(ValueError, match=complaint):
        evaluate(["B"], [example])
