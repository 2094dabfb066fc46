"""Stages: which rule files a config needs, and whose work is charged. Standard library only."""

from collections.abc import Mapping
from pathlib import PurePosixPath

DATA_STAGES = (
    *("pool", "tasks", "features"),
    *("gradients", "proxy", "gate", "influence", "votes", "clusters"),
)
MADE_BY = {"proxy": "gradients"}  # rule files with another name than their stage
# Prepared alike for all methods.
UNCHARGED = ("digits", "make_task", "pool", "tasks", "check_samples")


def rule_files(config: Mapping) -> list[str]:
    """Return the rule files that a complete config needs, below rules/, from left to right.

    A stage that the config says is given has none, so that nothing can make its files anew.
    """
    built = any("build" in task for task in config["tasks"].values())
    made = (stage for stage in DATA_STAGES if stage not in config["given"])
    return [
        *(["digits"] if "digits" in config else []),
        *(["make_task"] if built else []),
        "check_samples",
        *dict.fromkeys(MADE_BY.get(stage, stage) for stage in made),
        *(["contamination"] if counts_contamination(config) and not screens_pool(config) else []),
        "subsets",
        *(f"methods/{method}" for method in config["methods"]),
        "constraints",
        *("exports", "checkpoints", "benchmarks", *config["evaluation"]),
        *("tables", "costs", "report", "provenance"),
    ]


def counts_contamination(config: Mapping) -> bool:
    """Return whether copies of held-out records are looked for: where the run prepares both."""
    return bool(config["tasks"]) and not {"pool", "tasks"} & set(config["given"])


def screens_pool(config: Mapping) -> bool:
    """Return whether the pool is prepared without such copies, instead of compared later on."""
    return bool(config["tasks"]) and config["on_contamination"] != "warn"


def stage_of(path: str, run: str) -> str | None:
    """Return the stage that a file of a run belongs to; None for a file from elsewhere."""
    parts = PurePosixPath(path).parts
    if parts[:2] != ("results", run) or len(parts) < 3:
        return None
    return parts[2].partition(".")[0]
