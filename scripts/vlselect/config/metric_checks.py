"""Check that tasks name metrics and options of these that there are, before any job runs.

Read by the workflow. A metric is imported only where a task gives it options or has to.
"""

import inspect
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Literal, get_args, get_origin

from vlselect.config.checks import ConfigError
from vlselect.core import registry
from vlselect.core.errors import InputError

NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
NAMES |= {dict: "a mapping", type(None): "null"}


def check_metrics(tasks: Mapping) -> None:
    """Check that the metrics of all tasks exist, and take the options that they are given.

    Raises
    ------
    ConfigError
        Naming every wrong key, and the known metrics.
    """
    problems = [problem for name, task in tasks.items() for problem in _problems(name, task)]
    if problems:
        raise ConfigError("\n".join(problems))


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Check a metric's options.

    They have to be arguments of its `evaluate`, of the types there (``Literal`` lists the values);
    what else they have to fulfil a metric may check in a function ``check_options(**options)``.

    Raises
    ------
    InputError
        If there is no such metric, or an option is unknown, missing or wrong.
    """
    metric = registry.load("metric", name)
    signature = inspect.signature(metric.evaluate)
    try:
        signature.bind([], [], **options)
    except TypeError as error:
        raise InputError(f"options of metric {name!r}: {error}") from error
    for key, value in options.items():
        kinds = _kinds(signature.parameters[key].annotation)
        if not any(_fits(value, kind) for kind in kinds):
            allowed = " or ".join(map(_describe, kinds))
            raise InputError(f"{key} {value!r} is not {allowed}: an option of metric {name!r}")
    if hasattr(metric, "check_options"):
        metric.check_options(**options)


def _problems(name: str, task: Mapping) -> Iterator[str]:
    metric, known = task["metric"], registry.names("metric")
    if metric not in known:
        yield f"tasks.{name}.metric: no metric {metric!r}; there are {', '.join(known)}"
        return
    if "test" not in task or not (task.get("metric_options") or registry.needs_options(metric)):
        return
    try:
        check_options(metric, task.get("metric_options", {}))
    except InputError as error:
        yield f"tasks.{name}.metric_options: {error}"


def _kinds(annotation: object) -> tuple:
    return get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)


def _fits(value: object, kind: object) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    return kind is inspect.Parameter.empty or isinstance(value, kind)


def _describe(kind: object) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    return NAMES.get(kind, str(kind))
