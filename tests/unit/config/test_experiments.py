"""Experiments: which runs they ask for, and what these are called."""

from vlselect.config.experiments import (
    chosen_budgets,
    complete_experiments,
    describe_runs,
    distinct,
    experiment_runs,
    has_references,
    run_names,
)

NAME = "{method}/{budget}_seed-{seed}"


def runs(*experiments, **config):
    """Runs of a config with these experiments, seeds 0 and 1, a ratio of 0.2 and two models."""
    config = {
        "models": {"target": {}, "small": {}},
        "methods": {},
        "seeds": [0, 1.0],
        "ratios": [0.2],
        "experiments": dict(enumerate(experiments)),
    } | config
    complete_experiments(config)
    return experiment_runs(config)


def test_an_experiment_is_the_product_of_its_lists():
    found = runs({"methods": ["random", "icons"], "ratios": [0.1, 0.5], "models": ["small"]})
    assert len(found) == 2 * 2 * 2 and found[0] == {
        "model": "small",
        "method": "random",
        "budget": "ratio-0.1",
        "seed": 0,
    }
    assert distinct(found, "seed") == [0, 1] and all(type(run["seed"]) is int for run in found)


def test_the_first_model_and_the_configs_seeds_and_budgets_are_taken_where_none_is_named():
    found = runs({"methods": ["random"]})
    assert [(run["model"], run["budget"], run["seed"]) for run in found] == [
        ("target", "ratio-0.2", 0),
        ("target", "ratio-0.2", 1),
    ]


def test_without_models_subsets_are_chosen_all_the_same():
    found = runs({"methods": ["random"]}, models={})
    assert [(run["model"], run["seed"]) for run in found] == [("", 0), ("", 1)]
    assert run_names(found, NAME, ["random"]) == [
        "random/ratio-0.2_seed-0",
        "random/ratio-0.2_seed-1",
    ]
    assert describe_runs(found) == "Seeds: 0, 1."


def test_a_run_of_two_experiments_is_one_run():
    once, more = {"methods": ["random"], "seeds": [0]}, {"methods": ["random"], "seeds": [0, 2]}
    assert [run["seed"] for run in runs(once, more)] == [0, 2]


def test_the_full_pool_has_one_budget_and_comes_first():
    found = runs({"methods": ["random", "full"], "samples": [10, 20], "seeds": [3]})
    assert [r["budget"] for r in found if r["method"] == "full"] == ["ratio-1.0"]
    assert chosen_budgets(found) == ["samples-10", "samples-20"]
    assert run_names(found, NAME, ["random", "full"]) == [
        "full/ratio-1.0_seed-3",
        "random/samples-10_seed-3",
        "random/samples-20_seed-3",
    ]
    assert run_names(found, NAME, ["full"]) == ["full/ratio-1.0_seed-3"]


def test_subsets_of_several_models_are_named_once():
    found = runs({"methods": ["random"], "models": ["target", "small"], "seeds": [0]})
    assert len(found) == 2 and run_names(found, NAME, ["random"]) == ["random/ratio-0.2_seed-0"]


def test_every_model_needs_the_full_pool_to_be_compared_with_it():
    both = {"methods": ["full", "random"], "models": ["target", "small"]}
    assert has_references(runs(both))
    assert not has_references(runs(both | {"models": ["small"]}, {"methods": ["random"]}))
    assert not has_references([])


def test_a_cached_run_asks_for_nothing():
    config = {"seeds": [0]}
    complete_experiments(config)
    assert experiment_runs(config) == [] and config["tasks"] == {}
    assert describe_runs([]) == "Drawn from tables that came with the project."


def test_captions_name_models_and_seeds():
    found = runs({"methods": ["random", "full"], "models": ["target", "small"]})
    assert describe_runs(found) == "Model: target, small. Seeds: 0, 1."


def test_captions_say_where_the_full_pool_has_fewer_seeds():
    found = runs({"methods": ["random"], "seeds": [0, 1, 2]}, {"methods": ["full"], "seeds": [0]})
    assert describe_runs(found) == "Model: target. Seeds: 0, 1, 2; of the full pool 0."
