"""Metrics, export formats, layouts and methods by the names in the config.

Each is a module in the folder of its kind, or in a folder inside it, with the function of its
kind: a new file is a new metric. Imported by the workflow, so it uses the standard library only.
"""

import ast
import importlib
import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType, UnionType
from typing import Literal, get_args, get_origin

from vlselect.core.errors import InputError

KINDS = {  # package of the modules, and the function that each defines
    "export": ("vlselect.subsets.exports", "write"),
    "layout": ("vlselect.tasks.layouts", "entries"),
    "method": ("vlselect.methods", "select"),
    "metric": ("vlselect.benchmarks.metrics", "evaluate"),
}

# What the values of options are called
KIND_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
KIND_NAMES |= {dict: "a mapping", type(None): "null"}


def names(kind: str) -> list[str]:
    """List the modules of a kind without importing them."""
    return sorted(_modules(kind))


def source(kind: str, name: str) -> Path:
    """Return the file of a module of a kind; for an unknown name, InputError lists the known."""
    known = _modules(kind)
    if name not in known:
        raise InputError(f"no {kind} {name!r}; there are {', '.join(sorted(known))}")
    return known[name][0]


def load(kind: str, name: str) -> ModuleType:
    """Import a module of a kind; for an unknown name, InputError lists the known ones."""
    path, (package, _) = source(kind, name), KINDS[kind]
    folders = importlib.import_module(package).__path__
    (below,) = (path.relative_to(f) for f in map(Path, folders) if path.is_relative_to(f))
    return importlib.import_module(".".join([package, *below.with_suffix("").parts]))


def needs_options(metric: str) -> bool:
    """Return whether a metric has options without a default, without importing it."""
    return None in _modules("metric")[metric][1].args.kw_defaults


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Check a metric's options.

    They have to be arguments of its `evaluate`, of the types there (``Literal`` lists the values);
    what else they have to fulfil a metric may check in a function ``check_options(**options)``,
    which gets all options, those with their default values too.

    Raises
    ------
    InputError
        If there is no such metric, or an option is unknown, missing or wrong.
    """
    metric = load("metric", name)
    signature = inspect.signature(metric.evaluate)
    try:
        bound = signature.bind([], [], **options)
    except TypeError as error:
        raise InputError(f"options of metric {name!r}: {error}") from error
    for key, value in options.items():
        kinds = _kinds(signature.parameters[key].annotation)
        if not any(_fits(value, kind) for kind in kinds):
            allowed = " or ".join(map(_describe, kinds))
            raise InputError(f"{key} {value!r} is not {allowed}: an option of metric {name!r}")
    if hasattr(metric, "check_options"):
        bound.apply_defaults()
        metric.check_options(**bound.kwargs)


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
    return KIND_NAMES.get(kind, str(kind))


def _modules(kind: str) -> dict[str, tuple[Path, ast.FunctionDef]]:
    """Return the file and the function of each module of a kind, without importing them."""
    package, function = KINDS[kind]
    folders = importlib.import_module(package).__path__
    paths = [path for folder in folders for path in Path(folder).rglob("*.py")]
    found = ((path, _function(path, path.stat().st_mtime_ns, function)) for path in paths)
    return {path.stem: (path, node) for path, node in found if node}


@cache
def _function(path: Path, _modified: int, name: str) -> ast.FunctionDef | None:
    """Return the function of this name in a file, parsed once and again if the file changes."""
    body = ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body
    found = (n for n in body if isinstance(n, ast.FunctionDef) and n.name == name)
    return next(found, None)
