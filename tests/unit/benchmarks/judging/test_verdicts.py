import pytest

from vlselect.benchmarks.judging.chat_client import UnreadableError
from vlselect.benchmarks.judging.verdicts import PROTOCOLS, fill, parse_grade, parse_pair


@pytest.mark.parametrize(
    "content",
    [
        "8 7",
        "8, 7",
        "8 7\nAssistant 1 names 3 dogs and 2 cats.",
        "8.0 7.0",
        "8/10 7/10",
        "8 / 10, 7 / 10",
        "**8 7**",
        "Scores: 8 7",
        "Scores: 8 and 7",
        "Assistant 1: 8, Assistant 2: 7",
        "Assistant 1: 8\nAssistant 2: 7",
        "Answer 1: 8/10\n\nAnswer 2: 7/10\n\nThe first …",
        "Ratings of assistant 1 and assistant 2: 8 7",
        "Both answers are good.\n\n8 7",
        "| 8 | 7 |",
        "\n 8  7 \n",
    ],
)
def test_pairs(content):
    assert parse_pair(content) == (8, 7)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "8",
        "8 7 6",
        "8 out 7",
        "11 7",
        "-1 -1",
        "eight seven",
        "I would say 8 and 7",
        "80% 70%",
        "nan inf",
        "8 7th",
        "8\nis for the first, for the second it is\n7",
        "٨ ٧",
        "Sorry, I can't help with that.",
    ],
)
def test_other_texts_are_no_pairs(content):
    with pytest.raises(UnreadableError):
        parse_pair(content)


@pytest.mark.parametrize(
    ("content", "grade"),
    [
        ("0.5", 0.5),
        ("1", 1),
        ("1.0", 1),
        ("0", 0),
        (".5", 0.5),
        ("0.5.", 0.5),
        (" 0.5 \n", 0.5),
        ("0.5 since 3 of 6 are right", 0.5),
        ("0.5/1.0", 0.5),
        ("| 0.5 |", 0.5),
        ("**0.5**", 0.5),
        ("Correctness: 0.5", 0.5),
        ("The correctness score is 0.5.", 0.5),
        ("The answer names 2 of 4.\nScore: 0.5", 0.5),
    ],
)
def test_grades(content, grade):
    assert parse_grade(content) == (grade,)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "10",
        "1.5",
        "-0.5",
        "50%",
        "0,5",
        "1st",
        "half right",
        "nan",
        "I give 0.5",
        "Score: 0.5. Score: 0.6",
        "Score: 7",
        "٠.٥",
    ],
)
def test_other_texts_are_no_grades(content):
    with pytest.raises(UnreadableError):
        parse_grade(content)


def test_values_are_put_in_as_they_are():
    values = {"question": "{answer}?", "answer": "\\1 {x}", "reference": "r", "context": "c"}
    assert fill("{question} {answer} {other} {}", values) == "{answer}? \\1 {x} {other} {}"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_prompts_have_all_places(name):
    protocol = PROTOCOLS[name]
    places = ["question", "reference", "answer", *(["context"] if protocol.context else [])]
    assert all(protocol.prompt.count(f"{{{place}}}") == 1 for place in places)
