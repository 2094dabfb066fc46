"""Models: their files as inputs, the flags that load them, what their jobs ask for.

Functions only. Each takes a model's name, or the wildcards of a job that has one.
"""


def model_settings(wildcards_or_name):
    """Return the config entry of a model."""
    name = getattr(wildcards_or_name, "model", wildcards_or_name)
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


def model_flags(wildcards_or_name):
    """Return the flags that load a model (see loading.add_model_arguments)."""
    model = model_settings(wildcards_or_name)
    flags = ["--model", model["path"], "--dtype", model["dtype"]]
    flags += ["--device", model["device"], "--batch-size", str(model["batch_size"])]
    flags += ["--threads", str(config["threads"]), "--template-date", model["template_date"]]
    for key in "revision batch_tokens max_length attention quantisation".split():
        if model[key]:
            flags += [f"--{key.replace('_', '-')}", str(model[key])]
    flags += ["--trust-remote-code"] if model["trust_remote_code"] else []
    return shlex.join(flags)


def workers(wildcards_or_name):
    """Return the number of processes that encode samples; a resource, which reruns nothing."""
    return model_settings(wildcards_or_name)["workers"]


def model_threads(wildcards_or_name):
    """Return the threads of a job that runs a model: its own, and its workers'."""
    return config["threads"] + workers(wildcards_or_name)


def gpus(wildcards_or_name):
    """Return the GPUs that a job with a model asks for: one where its device says cuda."""
    return int(model_settings(wildcards_or_name)["device"].startswith("cuda"))


def header_run():
    """Return the run that the headers of shards name; with --cache, runs share them."""
    caches = workflow.workflow_settings.cache is not None
    return "shared" if caches else config["run"]
