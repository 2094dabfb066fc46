"""Samples that models refuse: which checks and passes there are, and what passes leave out.

Functions only.
"""


def processor_settings(name):
    """Return what decides how a model encodes a sample."""
    return [config["models"][name][key] for key in PROCESSOR]


def checked_shards(wildcards_or_name):
    """Return the checks of the pool by a model, or by the first one with the same processor."""
    name = getattr(wildcards_or_name, "model", wildcards_or_name)
    same = (
        n for n in config["models"] if processor_settings(n) == processor_settings(name)
    )
    return gather.pool(
        "<results>/features/{model}/checked/shard-{scatteritem}.parquet",
        model=next(same),
    )


def checked_files(wildcards):
    """Return the checks of the pool, or of the tasks."""
    if wildcards.tasks:
        return f"<results>/features/{wildcards.model}/checked/tasks.parquet"
    return checked_shards(wildcards)


def left_out(wildcards_or_name):
    """Return what a model's passes leave out of the pool.

    Not `ancient`: of jobs behind one, Snakemake 9.27 does not look for changes of their own while
    the job before it is to be done.
    """
    name = getattr(wildcards_or_name, "model", wildcards_or_name)
    return f"<results>/features/{name}/left_out.parquet"


def left_out_tasks(wildcards_or_name):
    """Return what a model's passes leave out of the tasks' samples."""
    name = getattr(wildcards_or_name, "model", wildcards_or_name)
    return f"<results>/features/{name}/left_out_tasks.parquet"


def parts_of_model(wildcards):
    """Return (task, split) of the samples that a model is given: to compare with, and to answer."""
    name, parts = wildcards.model, []
    compared = (model_of("gradients"), model_of("proxy"), represented()[0])
    if name in compared:
        parts += [(task, "validation") for task in VALIDATED]
    if any(run["model"] == name for run in RUNS):
        parts += [(task, "test") for task in TESTED]
    return parts


def part_files(wildcards):
    """Return their samples."""
    parts = parts_of_model(wildcards)
    return [f"<results>/tasks/{task}/{split}.parquet" for task, split in parts]


def part_names(wildcards):
    """Return their names, <task>/<split>."""
    return ["/".join(part) for part in parts_of_model(wildcards)]


def part_images(wildcards):
    """Return where the images of each are."""
    return [data_files.task_images(config, *part) for part in parts_of_model(wildcards)]
