"""The config, complete and checked: all that is wrong with it is said at once.

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
from vlselect.config.checks import ConfigError, check, check_formats, check_names
from vlselect.config.checks import check_references, nearest, resolve
from vlselect.config.metric_checks import check_metrics
from vlselect.config.model_checks import check_models
from vlselect.config.task_builds import expand_builds, name_metrics
from vlselect.config.task_groups import task_groups, voting_tasks
from vlselect.config.yaml_files import expand_home, read_yaml

RULES = Path(workflow.basedir) / "rules"
PROBLEMS = []  # lines that say what is wrong
UNDECLARED = []  # methods whose rule files have not been read yet
# Methods that read validation gradients, or other features of validation samples; those of them that
# need no gradients; those that go by the model of `proxy` or, without that section, of `gradients`.
NEEDS_VALIDATION, WITHOUT_GRADIENTS, BY_PROXY = set(), set(), set()


class Declared(Exception):
    """Ends the reading of a rule file whose method is declared and that must define no rules."""


def checked(action, *arguments):
    """Run a config check and keep its complaint; `refuse` says all of them.

    A check that stumbles over what others have complained of already says nothing more.
    """
    try:
        return action(*arguments)
    except ConfigError as error:
        PROBLEMS.extend(str(error).splitlines())
    except Exception:
        if not PROBLEMS:
            raise


def check_config_files():
    """Check what Snakemake does not: of a key that is there twice, it keeps the last."""
    for path in workflow.configfiles:
        checked(read_yaml, path)


def check_cache():
    """Check that what jobs put into Snakemake's cache can go there: it looks when a job has ended."""
    folder = os.environ.get("SNAKEMAKE_OUTPUT_CACHE")
    if workflow.workflow_settings.cache is None or not folder:
        return
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise ConfigError(
            f"SNAKEMAKE_OUTPUT_CACHE: {folder} is no folder that can be written to; --cache does not"
            f" make it: mkdir -p {shlex.quote(folder)}"
        )


def check_rule_files(methods):
    """Check that every method of the config has a rule file."""
    known = [path.stem for path in (RULES / "methods").glob("*.smk")]
    unknown = [name for name in methods if name not in known]
    UNDECLARED.extend(name for name in methods if name in known)
    if unknown:
        raise ConfigError(
            "\n".join(
                f"methods.{name}: no rules/methods/{name}.smk{nearest(name, known)}"
                for name in unknown
            )
        )


def declare_method(name, parameters, needs_validation=False, by_proxy=False):
    """Declare a selection method: called at the top of rules/methods/<name>.smk.

    parameters: JSON schema of each key of its config entry; `$ref` may name the config's $defs.
    """
    if name in UNDECLARED:
        UNDECLARED.remove(name)
    if needs_validation:
        NEEDS_VALIDATION.add(name)
    if by_proxy:
        BY_PROXY.add(name)
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": parameters,
        "$defs": SCHEMA["$defs"],
    }
    if config["methods"][name] is None:
        config["methods"][name] = {}
    refusing = bool(PROBLEMS)
    checked(check, config["methods"][name], schema, f"methods.{name}")
    if refusing:
        raise Declared
    refuse()
    trial.scale(config["methods"][name], resolve(schema), TRIAL_SHARE)


def named_tasks():
    """Return the tasks with tests, those with validation sets, their groups, and which vote."""
    tasks = config["tasks"]
    tested = [name for name in tasks if "test" in tasks[name]]
    validated = {name: task for name, task in tasks.items() if "validation" in task}
    return tested, [*validated], task_groups(validated), voting_tasks(validated)


def check_declared():
    """Check what the methods' declarations say that the config has to have."""
    checked(check_references, config, NEEDS_VALIDATION, WITHOUT_GRADIENTS, BY_PROXY)
    if not config["cached"]:
        checked(check_models, config)


def refuse():
    """End the workflow if the config is not right, after reading what is left of declarations."""
    if not PROBLEMS:
        return
    for name in [*UNDECLARED]:
        try:
            workflow.include(str(RULES / f"methods/{name}.smk"))
        except Exception:  # Declared, or it stumbles over the config
            pass
    check_declared()
    lines = "\n".join(dict.fromkeys(PROBLEMS))
    raise WorkflowError(f"The config is not right:\n{lines}")


checked(check_config_files)
SCHEMA = resolve(read_yaml(RULES / "schemas/config.schema.yaml"))
checked(check_names, config)
name_metrics(config)
checked(check, config, SCHEMA)
checked(expand_home, config, SCHEMA)
checked(experiments.complete_experiments, config)
checked(expand_builds, config)
checked(data_files.check_data, config)
checked(check_references, config)  # before rules are made of these names
checked(check_metrics, config["tasks"])
checked(check_formats, config["export"])
checked(check_rule_files, config["methods"])
if not (config["cached"] or workflow.storage_settings.default_storage_provider):
    checked(data_files.check_files, config)
    checked(check_cache)
TESTED, VALIDATED, GROUPS, VOTERS = checked(named_tasks) or ([], [], {}, [])
refuse()
TRIAL_SHARE = checked(trial.begin, config, SCHEMA)  # of the pool; 1 for the run itself
refuse()
