"""Files of records and places of images of the pool, its parts and the tasks.

Read by the workflow, so it imports the standard library and what of ours does the same.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vlselect.config.checks import ConfigError
from vlselect.config.record_files import SPLITS, by_part, image_location, is_table, record_files


def parts(pool: Mapping) -> dict[str | None, dict]:
    """Return records, images and keys of each part of the pool; under None if it has no parts.

    Images that are not given are in the tables of the records themselves.
    """
    sources = pool.get("sources") or {None: pool}
    return {
        name: {
            "records": source["records"],
            "images": source.get("images") or image_location(source["records"]),
            "source_key": source.get("source_key") or pool.get("source_key"),
            "id_key": source.get("id_key") or pool.get("id_key"),
        }
        for name, source in sources.items()
    }


def flag_values(pool: Mapping, key: str) -> list[str]:
    """Return the values of a flag: ``<part>=<value>`` of each part that has one, or the pool's."""
    found = {name: part[key] for name, part in parts(pool).items() if part[key]}
    if None in found:  # "year=2024/x.parquet" is no part `year`
        return [found[None] if None in by_part(found.values()) else f"./{found[None]}"]
    return [f"{name}={value}" for name, value in found.items()]


def pool_files(pool: Mapping) -> list[str]:
    """Return every file of records of the pool."""
    return [file for part in parts(pool).values() for file in record_files(part["records"])]


def task_files(task: Mapping, split: str) -> list[str]:
    """Return the files of a task's split; none where the task has no such split."""
    return record_files(task[split]) if split in task else []


def task_images(config: Mapping, task: str, split: str) -> str:
    """Return where a split's images are: in the task's own location, its tables, or the pool's."""
    settings = config["tasks"][task]
    if settings.get("images"):
        return settings["images"]
    if is_table(settings[split]):
        return image_location(settings[split])
    return parts(config["pool"])[None]["images"]


def check_data(config: Mapping) -> None:
    """Check `pool` and the tasks' images beyond the schema, and that all files can be found.

    Raises
    ------
    ConfigError
        Naming every key that is wrong.
    """
    if "pool" in config and (problems := list(_problems(config))):
        raise ConfigError("\n".join(problems))


def check_files(config: Mapping) -> None:
    """Check that the files of records and of sample ids exist, but for those that the run makes.

    Raises
    ------
    ConfigError
        Naming every key whose file does not exist.
    """
    made_here = Path("results", config["run"])
    problems = [
        f"{key}: no file {file} in {Path.cwd()}"
        for key, files in _named_files(config)
        for file in files
        if not (Path(file).exists() or Path(file).is_relative_to(made_here))
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _named_files(config: Mapping) -> Iterator[tuple[str, list[str]]]:
    """Yield the files that a run reads by the keys that name them.

    Where a stage is given, the tasks may be needed no more, and their files be elsewhere.
    """
    pool, given = config["pool"], config["given"]
    if "pool" not in given:
        for name, part in parts(pool).items():
            key = "pool" if name is None else f"pool.sources.{name}"
            yield f"{key}.records", record_files(part["records"])
        if pool["exclude"]:
            yield "pool.exclude", [pool["exclude"]]
    for name, task in config["tasks"].items() if not given else ():
        yield from ((f"tasks.{name}.{split}", task_files(task, split)) for split in SPLITS)
    for key in ("keep", "exclude"):
        if config["constraints"][key]:
            yield f"constraints.{key}", [config["constraints"][key]]


def _problems(config: Mapping) -> Iterator[str]:
    pool, given = config["pool"], config.get("given", ())
    if "sources" in pool and ("records" in pool or "images" in pool):
        yield "pool: `records` and `images` belong to each of `sources`"
        return
    for name, source in (pool.get("sources") or {None: pool}).items():
        key = "pool" if name is None else f"pool.sources.{name}"
        if "pool" not in given:
            yield from _file_problems(f"{key}.records", source["records"])
        if not source.get("images") and not is_table(source["records"]):
            yield f"{key}.images: missing; only tables may hold the images themselves"
    for name, task in config["tasks"].items():
        for split in (split for split in SPLITS if split in task):
            if "tasks" not in given:
                yield from _file_problems(f"tasks.{name}.{split}", task[split])
            if not (task.get("images") or is_table(task[split]) or "sources" not in pool):
                yield f"tasks.{name}.images: missing; the pool's parts have their own"
    yield from _unknown_sources(config)


def _unknown_sources(config: Mapping) -> Iterator[str]:
    """Yield bounds of unknown sources, where the sources are the parts of the pool."""
    known = parts(config["pool"])
    if None in known or any(part["source_key"] for part in known.values()):
        return  # the records name their sources
    for kind in ("minimum", "maximum", "quota"):
        for name in (config.get("constraints") or {}).get(kind) or {}:
            if name not in known:
                yield f"constraints.{kind}: no source {name!r}; there are {', '.join(known)}"


def _file_problems(key: str, location: str) -> Iterator[str]:
    try:
        record_files(location)
    except (OSError, ValueError, LookupError) as error:
        yield f"{key}: {error}"
