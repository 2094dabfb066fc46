"""What all rules share: the complete, checked config, what follows from it, code as an input.

Imports nothing that needs torch, so that a dry run works without it.
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from vlselect.config import data_files, experiments, trial
from vlselect.config.budgets import counts_tokens
from vlselect.config.checks import ConfigError, check, check_formats, check_metrics
from vlselect.config.checks import check_names, check_references, nearest, resolve
from vlselect.config.home import expand_home
from vlselect.config.model_checks import check_models
from vlselect.config.stages import UNCHARGED, counts_contamination, rule_files
from vlselect.config.stages import screens_pool, stage_of
from vlselect.config.task_builds import expand_builds, name_metrics
from vlselect.config.task_groups import task_groups, voting_tasks
from vlselect.config.yaml_files import read_yaml
from vlselect.core.sources import imported_sources

RULES = Path(workflow.basedir) / "rules"


def checked(action, *arguments):
    """Run a config check; its complaint ends the workflow without a traceback."""
    try:
        return action(*arguments)
    except ConfigError as error:
        raise WorkflowError(f"The config is not right:\n{error}")


def check_config_files():
    """Check what Snakemake does not: of a key that is there twice, it keeps the last."""
    for path in workflow.configfiles:
        read_yaml(path)


def check_rule_files(methods):
    """Check that every method of the config has a rule file."""
    known = [path.stem for path in (RULES / "methods").glob("*.smk")]
    unknown = [name for name in methods if name not in known]
    if unknown:
        raise ConfigError(
            "\n".join(
                f"methods.{name}: no rules/methods/{name}.smk{nearest(name, known)}"
                for name in unknown
            )
        )


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


checked(check_config_files)
SCHEMA = resolve(read_yaml(RULES / "schemas/config.schema.yaml"))
checked(check_names, config)
name_metrics(config)
checked(check, config, SCHEMA)
expand_home(config, SCHEMA)
experiments.complete_experiments(config)
checked(expand_builds, config)
checked(data_files.check_data, config)
checked(check_references, config)  # before rules are made of these names
checked(check_metrics, config["tasks"])
checked(check_formats, config["export"])
checked(check_rule_files, config["methods"])
if not (config["cached"] or workflow.storage_settings.default_storage_provider):
    checked(data_files.check_files, config)
TRIAL_SHARE = checked(trial.begin, config, SCHEMA)  # of the pool; 1 for the run itself

RESULTS = f"results/{config['run']}"
RUNS = experiments.experiment_runs(config)  # each a model, method, budget and seed
METHODS = list(config["methods"])
TESTED = [name for name, task in config["tasks"].items() if "test" in task]
VALIDATED = [name for name, task in config["tasks"].items() if "validation" in task]
GROUPS = task_groups({name: config["tasks"][name] for name in VALIDATED})
VOTERS = voting_tasks({name: config["tasks"][name] for name in VALIDATED})
