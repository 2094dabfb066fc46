"""Which subset is chosen, and what is said of it, on tables of a few rows."""

import math

import pandas as pd
import pytest

from vlselect.answer import reasons
from vlselect.answer.choice import choices, main_choice
from vlselect.tables.comparison_with_random import verdict

NAN = float("nan")


def made(rows, seeds=2, ratio="0.2", model="target", costs=True):
    """Tables of methods with (difference, low, high, p_holm, cost of choosing); random has none."""
    compared, means, cost = [], [], []
    for method, difference, low, high, p, selection in rows:
        key = {"model": model, "method": method, "ratio": ratio}
        ends = {"low": 70 + low, "high": 70 + high}
        means.append(key | {"task": "mean", "n_seeds": seeds, "relative": 70 + difference} | ends)
        means.append(key | {"task": "one", "n_seeds": seeds, "relative": 0.0} | ends)
        if method != "random":
            ends = {"low": low, "high": high, "p_holm": p, "verdict": verdict(low, high)}
            compared.append(key | {"difference": difference} | ends)
        parts = {"selection": selection, "finetuning": 20.0, "total": selection + 20.0}
        for level, value in (parts if costs else {}).items():
            named = {"level": level, "name": method, "model": model, "ratio": ratio}
            cost.append(named | {"relative_to_full": value})
    columns = ["level", "name", "model", "ratio", "relative_to_full"]
    return pd.DataFrame(compared), pd.DataFrame(means), pd.DataFrame(cost, columns=columns)


RANDOM = ("random", 0.0, -2.0, 2.0, NAN, 0.5)
GOOD = ("good", 10.0, 7.0, 13.0, 0.001, 50.0)
CHEAP = ("cheap", 9.0, 6.0, 12.0, 0.001, 10.0)
POOR = ("poor", -10.0, -13.0, -7.0, 0.001, 5.0)
SOME = ("some", 5.0, -1.0, 11.0, 0.08, 5.0)


def only(*rows, **options):
    (choice,) = choices(*made([RANDOM, *rows], **options))
    return choice


@pytest.mark.parametrize(
    ("rows", "method", "alike"),
    [
        ([GOOD, POOR, SOME], "good", []),
        ([GOOD, CHEAP], "cheap", ["good"]),  # their intervals overlap: the cheaper one
        ([GOOD, ("near", 9.0, 6.0, 12.0, 0.001, 44.0)], "good", ["near"]),  # as dear, but for noise
        ([("near", 9.0, 6.0, 12.0, 0.001, 56.0), GOOD], "good", ["near"]),
        ([GOOD, ("less", 4.0, 1.0, 6.9, 0.01, 0.0)], "good", []),  # they do not
        ([POOR, SOME], "random", []),
        ([("luck", 5.0, 1.0, 9.0, 0.2, 5.0)], "random", []),  # one among many comparisons
        ([("alone", 9.0, NAN, NAN, NAN, 5.0)], "random", []),  # one seed
    ],
)
def test_who_is_chosen(rows, method, alike):
    choice = only(*rows)
    assert (choice.method, list(choice.alike)) == (method, alike)
    assert [row.method for row in choice.rows] == ["random", *(row[0] for row in rows)]


def test_without_costs_the_highest_is_chosen():
    assert only(GOOD, CHEAP, costs=False).method == "good"
    assert "not measured" in " ".join(reasons.sentences(only(GOOD, costs=False)))


def test_numbers_are_those_of_the_tables():
    row = only(GOOD).row
    assert (row.difference, row.low, row.high) == (10.0, 7.0, 13.0)
    assert (row.relative, row.relative_low, row.relative_high) == (80.0, 77.0, 83.0)
    assert (row.selection, row.finetuning, row.total, row.n_seeds) == (50.0, 20.0, 70.0, 2)


@pytest.mark.parametrize(("selection", "often"), [(0.0, 1), (80.0, 1), (81.0, 2), (NAN, None)])
def test_how_often_a_subset_has_to_be_used(selection, often):
    assert only(("good", 10.0, 7.0, 13.0, 0.001, selection)).row.pays_off == often


def test_what_is_said_when_nothing_is_shown():
    text = " ".join(reasons.sentences(only(SOME, POOR)))
    assert "No test here tells a method above random" in text and "Below random: poor." in text
    assert "some" not in text and "5.0" not in text.split("Finetuning")[0]
    text = " ".join(reasons.sentences(only(("luck", 5.0, 1.0, 9.0, 0.2, 5.0))))
    assert "luck alone exclude zero, but not when corrected" in text
    text = " ".join(reasons.sentences(only(("alone", 9.0, NAN, NAN, NAN, 5.0))))
    assert "no interval over seeds" in text


@pytest.mark.parametrize(
    ("difference", "ending"),
    [(10.0, "the whole pool is better."), (29.0, "tells the two apart."), (40.0, "the subset is")],
)
def test_the_whole_pool_is_compared_with(difference, ending):
    row = ("good", difference, difference - 3, difference + 3, 0.001, 50.0)
    assert any(ending in text for text in reasons.sentences(only(row)))


def test_costs_above_the_whole_pool_are_said():
    dear = ("good", 10.0, 7.0, 13.0, 0.001, 90.0)
    assert "unless 2 models or more" in reasons.sentences(only(dear))[-1]
    assert "unless" not in reasons.sentences(only(GOOD))[-1]
    assert reasons.price([only(dear)]) == (
        "Choosing it and finetuning on it cost 110.0 % of finetuning on everything, which scores"
        " higher. It pays where 2 models or more are finetuned on it."
    )
    assert reasons.price([only(GOOD)]) == reasons.price([only(POOR)]) == reasons.price([]) == ""


def test_the_first_answer_is_of_the_best_that_is_shown():
    tables = [
        made([RANDOM, SOME], ratio="0.5"),
        made([RANDOM, GOOD]),
        made([RANDOM, CHEAP], ratio="0.1"),
    ]
    found = choices(*(pd.concat(parts) for parts in zip(*tables, strict=True)))
    assert [choice.ratio for choice in found] == ["0.5", "0.2", "0.1"]
    assert main_choice(found).method == "good"
    assert reasons.headline(found, 1800, 9000) == (
        "Take the 1,800 of 9,000 samples that good chose: 10.0 points above random (7.0 to 13.0)"
    )
    undecided = reasons.headline(found[:1], 4500, 9000)
    assert undecided.startswith("No test here") and "4,500 of 9,000" in undecided


def test_no_comparison_no_choice():
    compared, means, cost = made([RANDOM, GOOD])
    assert choices(compared[:0], means, cost) == []
    assert math.isnan(only(GOOD).of("random").difference)
