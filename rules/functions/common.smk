"""Helpers that the rules share: config checks, code as input, model flags, lists of targets.

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

from vlselect.config.checks import ConfigError, check
from vlselect.config.checks import check_formats, check_metrics, check_references
from vlselect.config import trial
from vlselect.config.data_files import check_mixture
from vlselect.config.task_groups import task_groups, voting_tasks
from vlselect.core.sources import imported_sources
from vlselect.config.task_builds import expand_builds, name_metrics
from yaml import safe_load

RULES = Path(workflow.basedir) / "rules"
NEEDS_VALIDATION = set()  # methods that read validation gradients


def checked(action, *arguments):
    """Run a config check; its complaint ends the workflow without a traceback."""
    try:
        return action(*arguments)
    except ConfigError as error:
        raise WorkflowError(f"The config is not right:\n{error}")


def declare_method(name, parameters, needs_validation=False):
    """Tell the workflow of a selection method: called at the top of rules/methods/<name>.smk.

    parameters: JSON schema of its config entry's keys.
    """
    if needs_validation:
        NEEDS_VALIDATION.add(name)
    schema = {"type": "object", "additionalProperties": False, "properties": parameters}
    if config["methods"][name] is None:
        config["methods"][name] = {}
    checked(check, config["methods"][name], schema, f"methods.{name}")
    trial.scale(config["methods"][name], schema, TRIAL_SHARE)


def one_of(names):
    """A regular expression that matches just these names."""
    return "|".join(sorted(names)) or "(?!)"


def code(*scripts):
    """A script and every module of ours that it imports, as inputs: editing one reruns the rule."""
    return [os.path.relpath(path) for path in imported_sources(*scripts)]


def model_settings(wildcards_or_name):
    """The config entry of a model, by its name or by the wildcard `model`."""
    name = getattr(wildcards_or_name, "model", wildcards_or_name)
    return config["models"][name]


def model_files(wildcards_or_name):
    """The files of the model's directory, or nothing where it is a hub id at a fixed revision.

    A directory that the workflow itself makes stands for its files.
    """
    model = model_settings(wildcards_or_name)
    if model["revision"]:
        return []
    made_here = Path(model["path"]).is_relative_to(f"results/{trial.origin(config)}")
    files = [] if made_here else filter(Path.is_file, Path(model["path"]).rglob("*"))
    return sorted(map(str, files)) or [model["path"]]


def model_flags(wildcards_or_name):
    """Command-line flags that load a model (see loading.add_model_arguments)."""
    model = model_settings(wildcards_or_name)
    flags = ["--model", model["path"], "--dtype", model["dtype"]]
    flags += ["--device", model["device"], "--batch-size", str(model["batch_size"])]
    flags += ["--threads", str(config["threads"])]
    for key in "revision batch_tokens max_length attention quantisation".split():
        if model[key]:
            flags += [f"--{key.replace('_', '-')}", str(model[key])]
    flags += ["--trust-remote-code"] if model["trust_remote_code"] else []
    return shlex.join(flags)


def workers(wildcards_or_name):
    """Processes that encode samples for a job with this model; a resource, which reruns nothing."""
    return model_settings(wildcards_or_name)["workers"]


def model_threads(wildcards_or_name):
    """Threads of a job that runs this model: its own, and its workers'."""
    return config["threads"] + workers(wildcards_or_name)


def gpus(wildcards_or_name):
    """GPUs that a job with this model asks the cluster for: one, where its device says cuda."""
    return int(model_settings(wildcards_or_name)["device"].startswith("cuda"))


def growing(amount):
    """A resource that doubles at every attempt: what ran out of it is tried again with more."""

    def resource(wildcards, attempt):
        return amount * 2 ** (attempt - 1)

    return resource


def parameters(method, *keys):
    """These keys of a method's config entry, as JSON for --parameters."""
    return json.dumps(
        {key: config["methods"][method][key] for key in keys}, sort_keys=True
    )


def subset_files():
    """The subsets of every experiment."""
    path = "<results>/subsets/{method}/{budget}_seed-{seed}.{suffix}"
    runs = experiment_runs()
    paths = {path.format(**run, suffix=s) for run in runs for s in ("json", "parquet")}
    return [*budget_checks(), *sorted(paths)]


def benchmark_files():
    """The scores of every experiment's checkpoints on every task."""
    path = "<results>/benchmarks/{model}/{method}/{budget}_seed-{seed}/{task}.json"
    runs = experiment_runs()
    return [path.format(**run, task=task) for run in runs for task in TESTED]


def everything():
    """What `snakemake` makes when asked for nothing in particular."""
    if config["cached"]:
        return figure_files()
    return [
        *subset_files(),
        *export_files(),
        *benchmark_files(),
        *table_files(),
        *figure_files(),
        "<results>/provenance.json",
    ]


def expand_experiments():
    """Give experiments the config's budgets, seeds and models where they name none of their own."""
    for key in ("tasks", "models", "methods", "experiments"):
        config.setdefault(key, {})  # only a cached run may leave them out
    for experiment in config["experiments"].values():
        expand_budgets(experiment)
        experiment.setdefault("seeds", config["seeds"])
        experiment.setdefault("models", list(config["models"])[:1])
        # 1.0 is an integer to JSON
        experiment["seeds"] = [int(seed) for seed in experiment["seeds"]]


name_metrics(config)
SCHEMA = safe_load((RULES / "schemas/config.schema.yaml").read_text())
checked(check, config, SCHEMA)
expand_experiments()
checked(expand_builds, config)
checked(check_mixture, config)
checked(check_references, config)  # before rules are made of these names
checked(check_metrics, config["tasks"])
checked(check_formats, config["export"])
TRIAL_SHARE = checked(trial.begin, config, SCHEMA)
METHODS = list(config["methods"])
DATA_STAGES = "pool tasks features gradients influence votes clusters".split()
STAGE_FILES = [  # rule files below rules/, left to right
    *(["digits"] if "digits" in config else []),
    *(["make_task"] if any("build" in t for t in config["tasks"].values()) else []),
    *(stage for stage in DATA_STAGES if stage not in config["given"]),
    *(f"methods/{method}" for method in METHODS),
    "constraints",
    *("exports", "checkpoints", "benchmarks", *config["evaluation"]),
    *("tables", "report", "provenance"),
    *(["sharing"] if workflow.workflow_settings.cache is not None else []),
]
TESTED = [name for name, task in config["tasks"].items() if "test" in task]
VALIDATED = [name for name, task in config["tasks"].items() if "validation" in task]
GROUPS = task_groups({name: config["tasks"][name] for name in VALIDATED})
VOTERS = voting_tasks({name: config["tasks"][name] for name in VALIDATED})

for method in METHODS:
    if not (RULES / f"methods/{method}.smk").is_file():
        raise WorkflowError(
            f"The config is not right:\nmethods.{method}: no rules/methods/{method}.smk"
        )
