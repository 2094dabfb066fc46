"""GPUs of jobs that run on this machine: how many each asks for, how many there are, who gets which.

Functions only. On a cluster its scheduler assigns them.
"""

from vlselect.models import local_gpus
from vlselect.models.visible_gpus import visible_gpus

ON_GPUS = f"python {shlex.quote(os.path.relpath(Path(workflow.basedir) / 'scripts/take_gpus.py'))}"
ON_CLUSTER = workflow.resource_settings.nodes is not None or workflow.remote_exec


def asked_gpus(wildcards_or_name):
    """Return the GPUs that a job with a model takes: `auto` takes one where there is one here."""
    device = model_settings(wildcards_or_name)["device"]
    found = device == "auto" and not ON_CLUSTER and visible_gpus() > 0
    return max(gpus(wildcards_or_name), int(found))


def asked_for_all(wildcards_or_name, settings):
    """Return the GPUs of a training: one for each process."""
    return asked_gpus(wildcards_or_name) * settings["processes"]


def warn_of_auto():
    """Name the models that get no GPU of a cluster: its jobs ask for one where a config says so."""
    names = [
        name for name, model in config["models"].items() if model["device"] == "auto"
    ]
    if names and ON_CLUSTER and any(workflow.dag.needrun_jobs()):
        message = f"models {', '.join(names)}: with `device: auto` jobs ask the cluster for no GPU"
        print(f"WARNING: {message}; `device: cuda` asks for one", file=sys.stderr)


def share_gpus():
    """Limit the jobs at work to the visible GPUs, and let each take its own (take_gpus.py).

    For the start of a run (screen.smk): in a dry run, jobs are shown with what they ask for.
    """
    if ON_CLUSTER:
        return
    number = local_gpus.hand_out()
    if "gpu" not in workflow.resource_settings.resources:
        workflow.register_resource("gpu", number)
        workflow.scheduler.global_resources["gpu"] = number
