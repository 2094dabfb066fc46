"""What all rules share: what follows from the complete, checked config; code as an input.

Imports nothing that needs torch, so that a dry run works without it.
"""

import gc

from vlselect.config.budgets import counts_tokens
from vlselect.config.stages import UNCHARGED, counts_contamination, rule_files
from vlselect.config.stages import screens_pool, stage_of
from vlselect.core.sources import imported_sources

RESULTS = f"results/{config['run']}"
RUNS = experiments.experiment_runs(config)  # each a model, method, budget and seed
TRAINED = [run for run in RUNS if run["model"]]  # all of them, or none without models
METHODS = list(config["methods"])

# The jobs of a large config are objects by the million that stay: to look through them for
# garbage, again and again, takes a seventh of the time in which they are planned.
gc.set_threshold(100_000, 50, 50)


def one_of(names):
    """Return a regular expression that matches just these names."""
    return "|".join(sorted(names)) or "(?!)"


def code(*scripts):
    """Return a script and every module of ours that it imports: editing one reruns the rule."""
    return [os.path.relpath(path) for path in imported_sources(*scripts)]


def growing(amount):
    """Return a resource that doubles at every attempt: a job that ran out of it gets more."""

    def resource(wildcards, attempt):
        return amount * 2 ** (attempt - 1)

    return resource


def in_results(path):
    """Return a path with <results> filled in, which Snakemake does in paths, not in parameters."""
    return path.replace("<results>", RESULTS)


def folder_of(stage):
    """Return a function that says where a stage's files lie, below which scripts find them by name.

    No function of the inputs: Snakemake does not record a parameter that is one.
    """

    def folder(wildcards):
        return f"{RESULTS}/{stage}"

    return folder
