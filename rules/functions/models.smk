"""Models: their files as inputs, the flags that load them, what their jobs ask for.

Functions only. Most take a model's name, or the wildcards of a job that has one.
"""

from vlselect.models.hub_cache import weights_mb
from vlselect.models.visible_gpus import visible_gpus


def model_settings(wildcards_or_name):
    """Return the config entry of a model."""
    name = getattr(wildcards_or_name, "model", wildcards_or_name)
    if name not in config["models"]:
        checked(check_references, config)  # says which key names it
        refuse()
    return config["models"][name]


def model_files(wildcards_or_name):
    """Return the files of a model's directory; none of a hub id at a fixed revision.

    A directory that the workflow itself makes stands for its files.
    """
    model = model_settings(wildcards_or_name)
    if model["revision"]:
        return []
    made_here = Path(model["path"]).is_relative_to(f"results/{trial.origin(config)}")
    files = [] if made_here else filter(Path.is_file, Path(model["path"]).rglob("*"))
    return sorted(map(str, files)) or [model["path"]]


PROCESSOR = ("path", "revision", "max_length", "template_date", "trust_remote_code")
WEIGHTS = ("dtype", "tf32", "device", "attention", "quantisation")
BATCHES = ("batch_size", "batch_tokens")


def flags_of(model, *keys):
    """Return these keys of a model's config entry as flags: a job has those that it depends on."""
    flags = ["--threads", str(config["threads"])]
    for key in keys:
        flag = "--model" if key == "path" else f"--{key.replace('_', '-')}"
        if model[key]:
            flags += [flag] if model[key] is True else [flag, str(model[key])]
    return shlex.join(flags)


def processor_flags(wildcards):
    """Return the flags of a model that only encodes (see loading.add_processor_arguments)."""
    return flags_of(model_settings(wildcards), *PROCESSOR)


def loading_flags(wildcards_or_name):
    """Return the flags of a model that is not run on batches (loading.add_loading_arguments)."""
    return flags_of(model_settings(wildcards_or_name), *PROCESSOR, *WEIGHTS)


def model_flags(wildcards_or_name):
    """Return the flags of a model that is run on batches (loading.add_model_arguments)."""
    return flags_of(model_settings(wildcards_or_name), *PROCESSOR, *WEIGHTS, *BATCHES)


def eager_flags(wildcards):
    """Return the same of a model whose attention is read: no other implementation shows it."""
    model = model_settings(wildcards) | {"attention": "eager"}
    return flags_of(model, *PROCESSOR, *WEIGHTS, *BATCHES)


def workers(wildcards_or_name):
    """Return the number of processes that encode samples; a resource, which reruns nothing."""
    return model_settings(wildcards_or_name)["workers"]


def model_threads(wildcards_or_name):
    """Return the threads of a job that runs a model: its own, and its workers'."""
    return config["threads"] + workers(wildcards_or_name)


def gpus(wildcards_or_name):
    """Return the GPUs that a job with a model asks for: one where its device says cuda."""
    return int(model_settings(wildcards_or_name)["device"].startswith("cuda"))


def needed_gpus(job):
    """Return the GPUs that a job cannot do without: those it asks for, one for each process."""
    return max(job.resources["gpu"], job.resources.get("processes", 1))


def check_gpus():
    """End a run whose jobs ask this machine for GPUs that it lacks, before its first job.

    A dry run warns, since it may be of a plan for another machine, and so does one on the way to a
    cluster, whose nodes may have what this machine has not.
    """
    jobs = [] if workflow.touch else workflow.dag.needrun_jobs()
    asked = [job for job in jobs if not job.is_group() and job.resources.get("gpu")]
    devices = {name: model["device"] for name, model in config["models"].items()}
    numbers = (
        [int(d.partition(":")[2] or 0) + 1 for d in devices.values()] if asked else []
    )
    wanted = max([*map(needed_gpus, asked), *numbers], default=0)
    short = [job for job in asked if needed_gpus(job) > job.resources["gpu"]]
    if wanted <= (found := visible_gpus()) and not short:
        return
    rules = ", ".join(sorted({job.rule.name for job in short or asked}))
    given = min((job.resources["gpu"] for job in short), default=0)
    left = "--resources or --set-resources leaves a job"
    but = f"{left} {given}" if short else f"this machine shows {found}"
    message = f"{rules}: they take {wanted} GPU(s) by the config (device, processes), and {but}"
    if workflow.local_exec and not workflow.dryrun:
        raise WorkflowError(
            f"{message}. A training takes one for each of `processes`; `device: auto` takes one"
            " where there is one"
        )
    ending = "" if short else "; the one that jobs run on has to"
    print(f"WARNING: {message}{ending}", file=sys.stderr)


PROCESS_MB = (
    8000  # of a process without its weights: libraries, samples, helper processes
)
TIMES_WEIGHTS = 64  # what a job holds beside that, at most: moments, batches


def model_memory(least, name=None, processes=1):
    """Return the memory of a job with a model: by process, and by the size of weights if known.

    least: of a job of one process, of a small model less. Weights on a GPU do not pass through
    memory as a whole; on the CPU every process holds them, in float32 twice the size that files
    mostly have.
    """

    def memory(wildcards, attempt):
        model = model_settings(name or wildcards)
        share = {"float32": 2}.get(model["dtype"], 1)
        size = weights_mb(model)
        held = 0 if model["device"].startswith("cuda") else share * size
        enough = min(least, PROCESS_MB + TIMES_WEIGHTS * size) if size else least
        alone, more = max(enough, PROCESS_MB + held), PROCESS_MB + held
        return (alone + (processes - 1) * more) * 2 ** (attempt - 1)

    return memory


def header_run():
    """Return the run that the headers of shards name; with --cache, runs share them."""
    caches = workflow.workflow_settings.cache is not None
    return "shared" if caches else config["run"]
