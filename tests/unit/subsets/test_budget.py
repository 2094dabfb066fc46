"""Budgets by their labels."""

import pytest

from vlselect.subsets import budget


def test_labels_are_split_and_counted():
    assert budget.parse("tokens-2000000") == ("tokens", "2000000")
    assert budget.samples(2406, "ratio-0.2") == 481
    assert budget.samples(2406, "samples-1000") == 1000


@pytest.mark.parametrize("label", ["ratio", "samples-1.5", "share-0.2", "tokens-", "samples--1"])
def test_a_label_of_another_form_is_refused(label):
    with pytest.raises(ValueError, match="is not ratio-<share>"):
        budget.parse(label)


def test_a_count_that_the_pool_does_not_have_is_refused():
    for label in ("samples-11", "samples-0"):
        with pytest.raises(ValueError, match="does not fit a pool of 10"):
            budget.samples(10, label)
    with pytest.raises(ValueError, match="which are chosen"):
        budget.samples(10, "tokens-5")
