"""Which layouts there are, and which keys of the config each of them reads.

Read by the workflow too, so it imports the standard library only.
"""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parent
HELPERS = {"__init__", "building", "question", "registry"}
FILES = ("questions", "annotations", "splits")  # keys whose values are paths


def layout_names() -> list[str]:
    """List the layouts: the modules of this folder, without its helpers."""
    return sorted({path.stem for path in FOLDER.glob("*.py")} - HELPERS)


def load_layout(name: str) -> ModuleType:
    """Give a layout's module.

    Raises
    ------
    ValueError
        If there is none; names those that there are.
    """
    known = layout_names()
    if name not in known:
        raise ValueError(f"no layout {name!r}; there are {', '.join(known)}")
    return importlib.import_module(f"vlselect.tasks.layouts.{name}")


def layout_keys(name: str) -> tuple[set[str], set[str]]:
    """Keys of the config that a layout needs, and all that it takes."""
    signature = inspect.signature(load_layout(name).entries)
    needed = {key for key, p in signature.parameters.items() if p.default is p.empty}
    return needed, set(signature.parameters)
