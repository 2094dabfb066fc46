"""Budgets: whose hold, and what they are called in paths."""

import pytest

from vlselect.config.budgets import budget_labels, complete_budgets, counts_tokens, ratio_label


@pytest.mark.parametrize(
    ("ratio", "label"),
    [(1, "1.0"), (0.2, "0.2"), (1e-6, "0.000001"), (1 / 3, "0.333333")],
)
def test_ratios_have_one_label(ratio, label):
    assert ratio_label(ratio) == label


@pytest.mark.parametrize(
    ("own", "of_all", "expected"),
    [
        ({}, {}, {"ratios": [0.2], "samples": [], "tokens": []}),
        ({}, {"samples": [50]}, {"ratios": [], "samples": [50], "tokens": []}),
        ({}, {"ratios": [0.1], "tokens": [9]}, {"ratios": [0.1], "samples": [], "tokens": [9]}),
        ({"tokens": [7]}, {"ratios": [0.1]}, {"ratios": [], "samples": [], "tokens": [7]}),
    ],
)
def test_an_experiments_own_budgets_stand_for_all_of_the_configs(own, of_all, expected):
    experiment = dict(own)
    complete_budgets(experiment, of_all)
    assert experiment == expected


def test_labels_name_the_kind():
    experiment = {"ratios": [0.2, 1], "samples": [1000.0], "tokens": [2000000]}
    labels = ["ratio-0.2", "ratio-1.0", "samples-1000", "tokens-2000000"]
    assert budget_labels(experiment) == labels
    assert counts_tokens({"experiments": {"a": experiment}})
    assert not counts_tokens({"experiments": {"a": experiment | {"tokens": []}}})
