from collections import Counter

import pytest

from vlselect.benchmarks.majority import (
    count_answers,
    first_exchange,
    last_question,
    majority_answers,
    most_frequent,
)
from vlselect.pool.records import Record, Turn


def record(*texts, roles=("user", "assistant")):
    turns = tuple(Turn(roles[i % 2], text) for i, text in enumerate(texts))
    return Record(sample_id="s", source="x", images=(), turns=turns)


def test_image_markers_are_no_part_of_a_question():
    assert first_exchange(record("<image>\nWhich digit?", " 3 ", "And now?", "4")) == (
        "Which digit?",
        "3",
    )
    assert last_question(record("<image>\nWhich digit?", "3", "And now? <image>")) == "And now?"


def test_a_system_turn_is_passed_over():
    turns = (Turn("system", "be brief"), Turn("user", "Who?"), Turn("assistant", "me"))
    assert first_exchange(Record("s", "x", (), turns)) == ("Who?", "me")


def test_a_record_without_an_answer_has_no_exchange():
    assert first_exchange(record("Who?")) is None


def test_only_asked_questions_are_counted():
    pool = [("q", "a"), ("q", "b"), ("q", "a"), ("other", "c"), None]
    assert count_answers(pool, ["q", "unseen"]) == {"q": Counter(a=2, b=1)}


def test_ties_go_to_the_first_in_the_alphabet():
    assert most_frequent(Counter(["b", "a", "c", "b", "a"])) == "a"


def test_pool_first_then_validation():
    counts = {"q": Counter(yes=3, no=2)}
    predictions, known = majority_answers(["q", "new"], counts, Counter(["no", "no", "yes"]))
    assert (predictions, known) == (["yes", "no"], 1)


def test_unknown_questions_need_validation_answers():
    assert majority_answers(["q"], {"q": Counter("a")}, Counter()) == (["a"], 1)
    with pytest.raises(ValueError, match="no validation answers"):
        majority_answers(["q", "new"], {"q": Counter("a")}, Counter())
