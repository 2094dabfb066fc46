"""Tasks that are built from a benchmark's own files: check and complete their config entries.

Read by the workflow, before any job, so beside the standard library it imports only what does so.
"""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

from vlselect.config.checks import ConfigError
from vlselect.config.record_files import SPLITS
from vlselect.core import registry
from vlselect.core.errors import InputError

FILES = ("questions", "annotations", "splits")  # keys whose values are paths
ALL = "all"
# Keys of `build` that every layout has; the others are the layout's own
COMMON = {"layout", "images", *SPLITS, "seed", "limit", "language", "prompt"}


def name_metrics(config: Mapping) -> None:
    """Set the layout's metric in built tasks that name none; before the config is checked."""
    tasks = config.get("tasks")
    for task in tasks.values() if isinstance(tasks, Mapping) else ():
        build = task.get("build") if isinstance(task, Mapping) else None
        if isinstance(build, Mapping) and build.get("layout") in registry.names("layout"):
            task.setdefault("metric", registry.load("layout", build["layout"]).METRIC)


def expand_builds(config: Mapping) -> None:
    """Check the entries `build` of all tasks, then name the files that are built in their tasks.

    Parameters
    ----------
    config : mapping
        A config that passed the schema; its tasks get `validation`, `test` and `images`.

    Raises
    ------
    ConfigError
        Naming every wrong key: an unknown layout, a key that it needs or does not know, a file
        that is not there, splits that cannot be.
    """
    built = {name: task for name, task in config["tasks"].items() if "build" in task}
    problems = [
        f"tasks.{name}.{problem}" for name, task in built.items() for problem in _problems(task)
    ]
    if "tasks" not in config.get("given", ()):
        problems += [
            f"tasks.{name}.build: no file {path!r}"
            for name, task in built.items()
            for path in dict.fromkeys(_paths(task["build"]))
            if not Path(path).exists()
        ]
    if problems:
        raise ConfigError("\n".join(problems))
    for name, task in built.items():
        build, folder = task["build"], f"results/{config['run']}/tasks_built/{name}"
        task |= {split: f"{folder}/{split}.json" for split in SPLITS if build[split]}
        if getattr(registry.load("layout", build["layout"]), "EMBEDDED", False):
            task["images"] = f"{folder}/images"
        elif build.get("images"):
            task["images"] = build["images"]


def parameters(build: Mapping) -> dict:
    """Return the keys of `build` that are the layout's own."""
    return {key: value for key, value in build.items() if key not in COMMON}


def sets(values: Mapping) -> dict[str, dict]:
    """Return the sets of questions that a layout's keys describe, each with its own values.

    Returns
    -------
    dict of str to dict
        One, under ``all``, that is divided into validation and test; or, where a value is given
        for each split (``{validation: ..., test: ...}``), one under each split's name.
    """
    divided = [value for value in values.values() if isinstance(value, Mapping)]
    if not divided:
        return {ALL: dict(values)}
    return {
        split: {key: v.get(split) if isinstance(v, Mapping) else v for key, v in values.items()}
        for split in SPLITS
        if all(split in value for value in divided)
    }


def files(build: Mapping) -> list[str]:
    """Return the files that a task is built from; of a folder, all text files in it."""
    found: dict[str, None] = {}
    for path in _paths(build):
        inside = sorted(map(str, Path(path).rglob("*.txt"))) if Path(path).is_dir() else [path]
        found |= dict.fromkeys(inside)
    return list(found)


def _paths(build: Mapping) -> Iterator[str]:
    for values in sets(parameters(build)).values():
        for value in (values[key] for key in FILES if values.get(key)):
            yield from [value] if isinstance(value, str) else value


def layout_keys(name: str) -> tuple[set[str], set[str]]:
    """Keys of the config that a layout needs, and all that it takes: arguments of `entries`."""
    signature = inspect.signature(registry.load("layout", name).entries)
    needed = {key for key, p in signature.parameters.items() if p.default is p.empty}
    return needed, set(signature.parameters)


def _problems(task: Mapping) -> Iterator[str]:
    """Yield what is wrong with one entry."""
    build = task["build"]
    try:
        needed, known = layout_keys(build["layout"])
    except InputError as error:
        yield f"build.layout: {error}"
        return
    own = parameters(build)
    yield from (f"build.{key}: layout {build['layout']} needs it" for key in needed - own.keys())
    for key in sorted(own.keys() - known):
        yield f"build.{key}: layout {build['layout']} does not know it; it has {sorted(known)}"
    prompts = registry.load("layout", build["layout"]).PROMPTS
    if build["prompt"] is None and build["language"] not in prompts:
        yield (
            f"build.language: layout {build['layout']} has no prompt in {build['language']!r}; "
            f"it has {', '.join(prompts)}"
        )
    if build["prompt"] is not None and "{question}" not in build["prompt"]:
        yield f"build.prompt: {build['prompt']!r} has no place {{question}}"
    if build.get("images") and task.get("images", build["images"]) != build["images"]:
        yield f"images: {task['images']!r}, but build.images is {build['images']!r}"
    yield from _split_problems(task)


def _split_problems(task: Mapping) -> Iterator[str]:
    build, given = task["build"], sets(parameters(task["build"]))
    for split in SPLITS:
        size = build[split]
        if split in task and size:
            yield f"{split}: a file is given, but `build` makes one too; set build.{split}: 0"
        if size and not {ALL, split} & given.keys():
            yield f"build.{split}: the files are given for each split, but not for {split}"
        if size != ALL and size >= 1 and size != int(size):
            yield f"build.{split}: {size} is neither a share below 1 nor a whole number"
    if not any(build[split] for split in SPLITS):
        yield "build: neither validation nor test is asked for"
    if ALL in given and build["validation"] == ALL and build["test"]:
        yield "build.validation: if it takes all, test has to be 0"
