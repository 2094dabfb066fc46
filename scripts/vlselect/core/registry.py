"""Metrics, export formats, layouts and methods by the names in the config.

Each is a module in the folder of its kind, with the function of its kind: a new file is a new
metric. Imported by the workflow, so it uses the standard library only.
"""

import ast
import importlib
from pathlib import Path
from types import ModuleType

from vlselect.core.errors import InputError

KINDS = {  # package of the modules, and the function that each defines
    "export": ("vlselect.subsets.exports", "write"),
    "layout": ("vlselect.tasks.layouts", "entries"),
    "method": ("vlselect.methods", "select"),
    "metric": ("vlselect.benchmarks.metrics", "evaluate"),
}


def names(kind: str) -> list[str]:
    """List the modules of a kind without importing them."""
    package, function = KINDS[kind]
    folders = importlib.import_module(package).__path__
    files = [path for folder in folders for path in Path(folder).glob("*.py")]
    return sorted(path.stem for path in files if _defines(path, function))


def load(kind: str, name: str) -> ModuleType:
    """Import a module of a kind; for an unknown name, InputError lists the known ones."""
    known = names(kind)
    if name not in known:
        raise InputError(f"no {kind} {name!r}; there are {', '.join(known)}")
    return importlib.import_module(f"{KINDS[kind][0]}.{name}")


def needs_options(metric: str) -> bool:
    """Return whether a metric has options without a default, without importing it."""
    package, function = KINDS["metric"]
    folders = importlib.import_module(package).__path__
    path = next(p for f in folders if (p := Path(f, f"{metric}.py")).is_file())
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    return None in found.args.kw_defaults


def _defines(path: Path, function: str) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)
