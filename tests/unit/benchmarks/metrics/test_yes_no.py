import pytest

from vlselect.benchmarks.metrics.yes_no import first_word, gold_label


@pytest.mark.parametrize(("answer", "label"), [("Yes", "yes"), (" no\n", "no"), ("NO", "no")])
def test_labels(answer, label):
    assert gold_label([answer, "ignored"], {}) == label


@pytest.mark.parametrize("answer", ["maybe", "", "yes."])
def test_other_answers_are_named(answer):
    with pytest.raises(ValueError, match="'s'.*not yes or no"):
        gold_label([answer], {"sample_id": "s"})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("**No**", "no"),
        ("__NO__", "no"),
        ('"Yes", it is.', "yes"),
        ("Not sure", "not"),
        ("Não", "não"),
        ("...", ""),
        ("", ""),
    ],
)
def test_the_first_word_whatever_is_around_it(text, word):
    assert first_word(text) == word
