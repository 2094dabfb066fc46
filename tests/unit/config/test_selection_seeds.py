"""Seeds of selection: fixed by the config, those of the runs, or none at all."""

import pytest

from vlselect.config.selection_seeds import selection_seed, selection_seeds

CONFIG = {
    "gradients": {"warm_up": {"seed": None}},
    "methods": {
        "full": None,
        "el2n": {"keep": "top"},
        "coincide": {"seed": None},
        "semdedup": {"seed": 0},
        "self_sup": {"seed": 3},
        "d2_pruning": {"seed": None, "index": "auto"},
    },
}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("gradients", [4, 7]),
        ("coincide", [4, 7]),
        ("d2_pruning", [4, 7]),
        ("semdedup", [0, 0]),
        ("self_sup", [3, 3]),
        ("el2n", [0, 0]),
        ("full", [0, 0]),
    ],
)
def test_the_run_moves_what_the_config_does_not_fix(section, expected):
    assert [selection_seed(CONFIG, section, seed) for seed in (4, "7")] == expected


@pytest.mark.parametrize("section", ["gradients", "proxy"])
def test_a_fixed_warm_up_holds_for_all_runs(section):
    config = CONFIG | {section: {"warm_up": {"seed": 0}}}
    found = {name: selection_seed(config, name, 5) for name in ("gradients", section)}
    assert found.pop(section) == 0 and not {0} & {*found.values()}


def test_a_search_among_all_pairs_draws_nothing():
    for seed in (None, 9):
        config = {"methods": {"d2_pruning": {"seed": seed, "index": "exact"}}}
        assert selection_seed(config, "d2_pruning", 4) == 0


def test_files_are_made_once_for_each_seed():
    runs = [{"seed": seed, "budget": budget} for budget in "ab" for seed in (2, 0, 1)]
    assert selection_seeds(CONFIG, "coincide", runs) == [2, 0, 1]
    assert selection_seeds(CONFIG, "self_sup", runs) == [3]
    assert selection_seeds(CONFIG, "coincide", []) == []
