"""Checks, flags and resources of what trains a model.

Functions only, for the rules.
"""

from vlselect.checkpoints.launching import launch_command
from vlselect.config.model_checks import check_models


def training_processes(settings):
    """Processes of a training job."""
    return settings.get("processes", 1)


def launcher(settings):
    """The program that starts a training script: Python, or accelerate for several processes."""
    return shlex.join(launch_command(training_processes(settings), config["threads"]))


def training_threads(settings):
    """Threads of a training job: those of each process, and its workers."""
    each = config["threads"] + settings.get("workers", 0)
    return training_processes(settings) * each


def finetune_gpus(wildcards):
    """GPUs of a finetuning: one for each process."""
    return gpus(wildcards) * training_processes(config["finetune"])


def warm_up_gpus(wildcards):
    """GPUs of the warm-up: one for each process."""
    settings = config["gradients"]["warm_up"]["finetune"]
    return gpus(wildcards) * training_processes(settings)


def unquantised_flags(wildcards):
    """Flags of a model that can be merged with an adapter; one in 4 or 8 bits cannot."""
    quantisation = model_settings(wildcards)["quantisation"]
    if quantisation:
        raise WorkflowError(
            f"models.{wildcards.model}.quantisation is {quantisation}: an adapter cannot be merged "
            "into quantised weights. Give the same model a second entry without it"
        )
    return model_flags(wildcards)


def merged_files():
    """A directory for every experiment's checkpoint."""
    path = "<results>/merged/{model}/{method}/{budget}_seed-{seed}"
    return [path.format(**run) for run in experiment_runs()]


if not config["cached"]:
    checked(check_models, config)
