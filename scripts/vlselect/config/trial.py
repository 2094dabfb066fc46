"""A trial run: the whole DAG on n samples of the pool, under a run name of its own.

Read by the workflow, so it imports the standard library and what of ours does the same. A trial
takes the same share of everything: of each source, of budgets and bounds in numbers, of whatever
else a schema marks with ``trial`` (`scale`). Ratios need nothing.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from vlselect.config.checks import ConfigError
from vlselect.config.data_files import pool_files
from vlselect.config.record_files import is_table
from vlselect.core.json_stream import read_records

BLOCK = 64  # rows that a shard has at least: those of `shard_files.BLOCK`, which needs numpy
SHARDS = 2  # at most: they show what many do, and each loads the model
TASKS = 10  # sets of tasks are small beside the pool: so many times its share of them is taken
ROUNDED = {"down": math.floor, "up": math.ceil, "nearest": round}


def origin(config: Mapping) -> str:
    """Return the name of the run that a trial is of; of any other run its own name."""
    return config["run"].removesuffix(f"-trial-{config['trial']}")


def begin(config: dict, schema: Mapping) -> float:
    """Turn a complete config into that of its trial, in place, if it asks for one.

    Returns
    -------
    float
        Share of the pool that is taken; 1 without a trial.

    Raises
    ------
    ConfigError
        If the pool is not there to be cut.
    """
    if not config["trial"]:
        return 1.0
    for ready in ("cached", "given"):
        if config[ready]:
            raise ConfigError(
                f"trial: this run takes finished files ({ready}: {config[ready]}), which a trial "
                f"has to make from the records itself; leave `{ready}` out"
            )
    share = min(1.0, config["trial"] / max(1, count_records(config)))
    config["run"] += f"-trial-{config['trial']}"
    filled = max(1, config["trial"] // BLOCK)
    config["pool"]["shards"] = min(config["pool"]["shards"], filled, SHARDS)
    for experiment in config["experiments"].values():
        experiment["seeds"] = experiment["seeds"][:1]
    scale(config, schema, share)
    return share


def scale(value: dict, schema: Mapping, share: float) -> None:
    """Multiply the numbers whose key in the schema says ``trial: down``, ``up`` or ``nearest``.

    In a list each counts; in a mapping the whole numbers do, and shares of a subset stay.
    """
    known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
    for key, item in value.items():
        child = known.get(key, others)
        if item is not None and "trial" in child:
            value[key] = _scaled(item, ROUNDED[child["trial"]], share)
        elif isinstance(item, dict):
            scale(item, child, share)


def task_share(share: float) -> float:
    """Return the share of each task's sets that goes with a share of the pool."""
    return min(1.0, TASKS * share)


def count_records(config: Mapping) -> int:
    """Count the pool's records; the demo says how many it will make."""
    files = pool_files(config["pool"])
    missing = [path for path in files if not Path(path).is_file()]
    if missing and "digits" in config:
        return sum(config["digits"]["mixture"].values())
    if missing:
        raise ConfigError(
            f"trial: {missing[0]} is not there; its records have to be counted (a plan for a "
            "device also takes their number: SAMPLES=665298)"
        )
    try:
        return sum(map(_count, files))
    except (OSError, ValueError) as error:
        raise ConfigError(f"trial: {error}") from error


def _count(path: str) -> int:
    if is_table(path):
        from vlselect.core.arrow_files import count_rows  # a dry run on JSON needs no pyarrow

        return count_rows(Path(path))
    return sum(1 for _ in read_records(path))


def _scaled(value: object, rounded: Callable[[float], int], share: float) -> object:
    if isinstance(value, Mapping):
        return {name: rounded(n * share) if n == int(n) else n for name, n in value.items()}
    if isinstance(value, list):
        return list(dict.fromkeys(max(1, rounded(n * share)) for n in value))
    return max(1, rounded(value * share))
