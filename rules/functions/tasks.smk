"""Tasks: their records and images, and how they are built from a benchmark's own files.

Functions only.
"""

from vlselect.config.task_builds import files as files_of_build
from vlselect.config.task_builds import parameters as layout_parameters


def validation_files(wildcards):
    """Return the files of a task's validation records; none where it has none."""
    return data_files.task_files(config["tasks"][wildcards.task], "validation")


def test_files(wildcards):
    """Return the files of a task's test records; none where it has none."""
    return data_files.task_files(config["tasks"][wildcards.task], "test")


def task_image_flag(wildcards):
    """Return the value of --images of prepare_task; none where each split's table has its own."""
    task = config["tasks"][wildcards.task]
    splits = [split for split in data_files.SPLITS if split in task]
    locations = {
        data_files.task_images(config, wildcards.task, split) for split in splits
    }
    return locations.pop() if len(locations) == 1 else []


def task_build(wildcards):
    """Return a task's config entry `build`."""
    return config["tasks"][wildcards.task]["build"]


def make_task_code(wildcards):
    """Return the script and the layout that the task names."""
    layout = task_build(wildcards)["layout"]
    return code("make_task.py", f"vlselect/tasks/layouts/{layout}.py")


def make_task_files(wildcards):
    """Return the benchmark's own files."""
    return files_of_build(task_build(wildcards))


def make_task_flags(wildcards):
    """Return the flags of the layout, its keys, the prompt and the draw."""
    build = task_build(wildcards)
    flags = ["--layout", build["layout"]]
    keys = json.dumps(layout_parameters(build), sort_keys=True)
    flags += ["--parameters", keys, "--seed", str(build["seed"])]
    for key in ("validation", "test", "limit", "language", "prompt"):
        if build[key] is not None:
            flags += [f"--{key}", str(build[key])]
    return shlex.join(flags)
