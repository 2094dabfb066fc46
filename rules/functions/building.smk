"""Inputs and flags of the tasks that are built from a benchmark's own files.

Functions only, for make_task.smk.
"""

from vlselect.config.task_builds import files as files_of_build
from vlselect.config.task_builds import parameters as layout_parameters


def build_of(wildcards):
    """A task's config entry `build`."""
    return config["tasks"][wildcards.task]["build"]


def make_task_code(wildcards):
    """The script, and the layout that the task names."""
    return code(
        "make_task.py", f"vlselect/tasks/layouts/{build_of(wildcards)['layout']}.py"
    )


def make_task_files(wildcards):
    """The benchmark's own files."""
    return files_of_build(build_of(wildcards))


def make_task_flags(wildcards):
    """Flags of the layout, its keys, the prompt and the draw."""
    build = build_of(wildcards)
    flags = ["--layout", build["layout"]]
    keys = json.dumps(layout_parameters(build), sort_keys=True)
    flags += ["--parameters", keys, "--seed", str(build["seed"])]
    for key in ("validation", "test", "limit", "language", "prompt"):
        if build[key] is not None:
            flags += [f"--{key}", str(build[key])]
    return shlex.join(flags)
