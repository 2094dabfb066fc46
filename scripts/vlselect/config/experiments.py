"""Experiments: the runs (model, method, budget, seed) of a config. Standard library only."""

from collections.abc import Iterable, Mapping

from vlselect.config.budgets import FULL, budget_labels, complete_budgets

SECTIONS = ("tasks", "models", "methods", "experiments")  # empty where absent
UNTRAINED = "{model}/pretrained/ratio-0.0_seed-0"  # benchmarks of a model as it comes
MAJORITY = "majority"  # benchmarks of no model


def complete_experiments(config: dict) -> None:
    """Fill in the config's budgets, seeds and first model where an experiment names none."""
    for section in SECTIONS:
        config.setdefault(section, {})
    for experiment in config["experiments"].values():
        complete_budgets(experiment, config)
        experiment.setdefault("seeds", config["seeds"])
        experiment.setdefault("models", list(config["models"])[:1])
        experiment["seeds"] = [int(seed) for seed in experiment["seeds"]]  # to JSON 1.0 is one


def experiment_runs(config: Mapping) -> list[dict]:
    """Return every run that some experiment asks for, once; `full` has one budget, the pool.

    Returns
    -------
    list of dict
        Keys model, method, budget (as in paths) and seed. The model is empty where the config has
        none: nothing is finetuned then.
    """
    runs = {}
    for experiment in config["experiments"].values():
        for method in experiment["methods"]:
            labels = [FULL] if method == "full" else budget_labels(experiment)
            for model in experiment["models"] or [""]:
                for budget in labels:
                    for seed in experiment["seeds"]:
                        runs[model, method, budget, seed] = None
    return [dict(zip(("model", "method", "budget", "seed"), run, strict=True)) for run in runs]


def distinct(runs: Iterable[Mapping], key: str) -> list:
    """Return the different values that runs have under a key, in their order."""
    return list(dict.fromkeys(run[key] for run in runs))


def chosen_budgets(runs: Iterable[Mapping]) -> list[str]:
    """Return the budgets that some method has to meet: all but those of `full` alone."""
    return distinct((run for run in runs if run["method"] != "full"), "budget")


def run_names(runs: Iterable[Mapping], pattern: str, methods: Iterable[str]) -> list[str]:
    """Return the names that a pattern makes of these methods' runs, each once, `full` first."""
    ordered = sorted(runs, key=lambda run: run["method"] != "full")
    names = [pattern.format(**run) for run in ordered if run["method"] in methods]
    return list(dict.fromkeys(names))


def has_references(runs: Iterable[Mapping]) -> bool:
    """Return whether every model of the runs is also finetuned on the full pool."""
    runs = list(runs)
    full = [run for run in runs if run["method"] == "full"]
    return bool(runs) and set(distinct(full, "model")) == set(distinct(runs, "model"))


def describe_runs(runs: Iterable[Mapping]) -> str:
    """Return what captions say of the runs: models and seeds, where the config knows them."""
    runs = list(runs)
    if not runs:
        return "Drawn from tables that came with the project."
    models, seeds = (", ".join(map(str, distinct(runs, key))) for key in ("model", "seed"))
    whole = distinct((run for run in runs if run["method"] == "full"), "seed")
    if whole and len(whole) < len(distinct(runs, "seed")):
        seeds += f"; of the full pool {', '.join(map(str, whole))}"
    return f"Model: {models}. Seeds: {seeds}." if runs[0]["model"] else f"Seeds: {seeds}."
