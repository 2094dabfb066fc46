"""Which export formats there are, found in this folder by the names that the config gives them.

A format is a module that defines ``write(records, images, folder)``. Read by the workflow too, so
it imports the standard library only.
"""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def format_names() -> list[str]:
    """List the modules of this folder that define ``write``, without running them."""
    return [path.stem for path in sorted(FOLDER.glob("*.py")) if _defines_write(path)]


def load_format(name: str) -> Callable:
    """Give the `write` function of the format module `name` of this package.

    Raises
    ------
    ValueError
        If there is no such format.
    """
    if name not in format_names():
        raise ValueError(f"no export format {name!r}; there are {', '.join(format_names())}")
    return importlib.import_module(f"vlselect.subsets.exports.{name}").write


def _defines_write(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return any(isinstance(node, ast.FunctionDef) and node.name == "write" for node in tree.body)
