"""Budgets: how much of the pool an experiment chooses. Standard library only.

In paths a budget is called ratio-0.2, samples-1000 or tokens-2000000.
"""

from collections.abc import Mapping

KINDS = ("ratios", "samples", "tokens")  # keys of the config, and of each experiment
RATIO = 0.2  # where no budget is named at all; no default of `ratios`, which `samples` may replace
FULL = "ratio-1.0"  # the only budget of the method `full`


def complete_budgets(experiment: dict, config: Mapping) -> None:
    """Fill in an experiment's budgets: the config's where it names none of its own."""
    own = experiment if any(kind in experiment for kind in KINDS) else config
    budgets = {kind: list(own.get(kind, [])) for kind in KINDS}
    if not any(budgets.values()):
        budgets["ratios"] = [RATIO]
    experiment.update(budgets)


def ratio_label(ratio: float) -> str:
    """Return a ratio as it stands in paths: 0.2, 1.0."""
    whole, _, fraction = f"{ratio:.6f}".partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def budget_labels(experiment: Mapping) -> list[str]:
    """Return the budgets of a completed experiment as they stand in paths."""
    return [
        *(f"ratio-{ratio_label(ratio)}" for ratio in experiment["ratios"]),
        *(f"samples-{int(count)}" for count in experiment["samples"]),
        *(f"tokens-{int(count)}" for count in experiment["tokens"]),
    ]


def counts_tokens(config: Mapping) -> bool:
    """Return whether some experiment has a budget in tokens."""
    return any(experiment.get("tokens") for experiment in config["experiments"].values())
