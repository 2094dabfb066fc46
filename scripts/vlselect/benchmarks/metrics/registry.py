"""Which metrics there are, found in this folder by the names that the config gives them.

Read by the workflow too, so it imports the standard library only.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parent


def metric_names() -> list[str]:
    """List the modules of this folder that define ``evaluate``, without running them."""
    return [path.stem for path in sorted(FOLDER.glob("*.py")) if _defines_evaluate(path)]


def load_metric(name: str) -> Callable:
    """Give the `evaluate` function of the metric module `name` of this package.

    Raises
    ------
    ValueError
        If there is no such metric.
    """
    return _module(name).evaluate


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Check a metric's options before anything long runs.

    They have to be arguments of its `evaluate`; what else they have to fulfil a metric may check
    in a function ``check_options(**options)`` of its own, which raises ValueError.

    Raises
    ------
    ValueError
        If an option is unknown, missing or wrong.
    """
    module = _module(name)
    try:
        inspect.signature(module.evaluate).bind([], [], **options)
    except TypeError as error:
        raise ValueError(f"options of metric {name!r}: {error}") from error
    if hasattr(module, "check_options"):
        module.check_options(**options)


def _module(name: str) -> ModuleType:
    module = f"vlselect.benchmarks.metrics.{name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not the name of a metric")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ValueError(f"there is no metric {name!r} in vlselect/benchmarks/metrics/") from error
    if not hasattr(found, "evaluate"):
        raise ValueError(f"vlselect/benchmarks/metrics/{name}.py is not a metric: no evaluate()")
    return found


def _defines_evaluate(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return any(isinstance(node, ast.FunctionDef) and node.name == "evaluate" for node in tree.body)
