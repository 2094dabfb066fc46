import pytest

from vlselect.metrics.yes_no import gold_label


@pytest.mark.parametrize(("answer", "label"), [("Yes", "yes"), (" no\n", "no"), ("NO", "no")])
def test_labels(answer, label):
    assert gold_label([answer, "ignored"], {}) == label


@pytest.mark.parametrize("answer", ["maybe", "", "yes."])
def test_other_answers_are_named(answer):
    with pytest.raises(ValueError, match="'s'.*not yes or no"):
        gold_label([answer], {"sample_id": "s"})
