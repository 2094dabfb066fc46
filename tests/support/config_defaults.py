"""Defaults of the config from where they stand: the schema, and each method's declaration."""

import functools
import inspect
import re
from collections.abc import Callable

from running import ROOT

from vlselect.config.checks import resolve
from vlselect.config.finetune_settings import Settings
from vlselect.config.yaml_files import read_yaml

SCHEMA = resolve(read_yaml(ROOT / "rules/schemas/config.schema.yaml"))
FINETUNE = {k: v["default"] for k, v in SCHEMA["$defs"]["finetune"]["properties"].items()}

GOOD = {
    "run": "test",
    "pool": {"records": "records.json", "images": "images"},
    "tasks": {
        "vqa": {"validation": "v.json", "test": "t.json"},
        "left": {"validation": "v.json", "group": "sides"},
    },
    "models": {"target": {"path": "model"}, "small": {"path": "owner/model", "revision": "abc"}},
    "methods": {"random": {}, "icons": {}, "coincide": {"model": "small"}},
    "gradients": {"model": "target"},
    "experiments": {"main": {"methods": ["random", "icons"], "models": ["target"]}},
}


def finetune_settings(**changes) -> Settings:
    """Return settings as the config check completes them."""
    return Settings.from_mapping(FINETUNE | changes)


def declared(method: str) -> dict[str, dict]:
    """Return the parameters that a method's rule file declares, each with its JSON schema."""
    text = (ROOT / f"rules/methods/{method}.smk").read_text()
    call = re.search(r"^declare_method\(.*?\)\n(?=\n)", text, re.DOTALL | re.MULTILINE)[0]
    found = {}
    names = {"VALIDATED": [], "GROUPS": {}}
    eval(call, names | {"declare_method": lambda name, parameters, **_: found.update(parameters)})
    return resolve({"$defs": SCHEMA["$defs"], "properties": found})["properties"]


def keywords(function: Callable) -> dict[str, inspect.Parameter]:
    """Return the parameters that a method's function takes by keyword only: those of the config."""
    known = inspect.signature(function).parameters
    return {k: p for k, p in known.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def usual_parameters(function: Callable) -> dict:
    """Return the declared defaults of what a method's function takes; rules add the tasks."""
    known = {"tasks": {"default": {}}} | declared(function.__module__.rpartition(".")[2])
    return {key: known[key]["default"] for key in keywords(function)}


def with_defaults(function: Callable) -> Callable:
    """Return a method's function as its rule calls it: with declared parameters."""
    return functools.partial(function, **usual_parameters(function))
