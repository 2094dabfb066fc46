"""Check, before any job runs, that the metrics that tasks name exist and take their options.

Read by the workflow. A metric is imported only where a task sets options or has to.
"""

from collections.abc import Iterator, Mapping

from vlselect.config.checks import ConfigError
from vlselect.core import registry
from vlselect.core.errors import InputError


def check_metrics(tasks: Mapping) -> None:
    """Check that the metrics of all tasks exist, and take the options that tasks set.

    Raises
    ------
    ConfigError
        Naming every wrong key, and the known metrics.
    """
    problems = [problem for name, task in tasks.items() for problem in _problems(name, task)]
    if problems:
        raise ConfigError("\n".join(problems))


def _problems(name: str, task: Mapping) -> Iterator[str]:
    metric, known = task["metric"], registry.names("metric")
    if metric not in known:
        yield f"tasks.{name}.metric: no metric {metric!r}; there are {', '.join(known)}"
        return
    if "test" not in task or not (task.get("metric_options") or registry.needs_options(metric)):
        return
    try:
        registry.check_options(metric, task.get("metric_options", {}))
    except InputError as error:
        yield f"tasks.{name}.metric_options: {error}"
