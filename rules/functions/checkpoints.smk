"""Checkpoints: flags and resources of what trains a model.

Functions only.
"""

from vlselect.checkpoints.launching import launch_command
from vlselect.config.finetune_settings import NO_EFFECT

CHECKPOINT = "{model}/{method}/{budget}_seed-{seed}"


def launcher(settings):
    """Return the program that starts a training script: Python, or accelerate for processes."""
    return shlex.join(launch_command(settings["processes"], config["threads"]))


def training_settings(settings):
    """Return the settings that a result depends on, as JSON; jobs have the others as resources."""
    kept = {key: value for key, value in settings.items() if key not in NO_EFFECT}
    return json.dumps(kept, sort_keys=True)


def training_threads(settings):
    """Return the threads of a training job: those of each process, and its workers."""
    return settings["processes"] * (config["threads"] + settings["workers"])


def finetune_gpus(wildcards):
    """Return the GPUs of a finetuning: one for each process."""
    return asked_for_all(wildcards, config["finetune"])


def unquantised_flags(wildcards):
    """Return the flags of a model that an adapter can be merged with; one in 4 or 8 bits cannot."""
    quantisation = model_settings(wildcards)["quantisation"]
    if quantisation:
        raise WorkflowError(
            f"models.{wildcards.model}.quantisation is {quantisation}: an adapter cannot be merged "
            "into quantised weights. Name the same model a second time without it"
        )
    return loading_flags(wildcards)


def checkpoint_names():
    """Return the checkpoints as they are named below checkpoints/ and benchmarks/."""
    return experiments.run_names(TRAINED, CHECKPOINT, METHODS)


def merged_files():
    """Return a directory for every experiment's checkpoint."""
    return [f"<results>/merged/{name}" for name in sorted(checkpoint_names())]
