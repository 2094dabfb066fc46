"""Defaults of the config from where they stand: the schema, and each method's declaration."""

import re

from running import ROOT
from yaml import safe_load

from vlselect.config.checks import resolve
from vlselect.config.finetune_settings import Settings

SCHEMA = resolve(safe_load((ROOT / "rules/schemas/config.schema.yaml").read_text()))
FINETUNE = {k: v["default"] for k, v in SCHEMA["$defs"]["finetune"]["properties"].items()}


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
    return found


def parameters_of(method: str, *keys: str, **changes) -> dict:
    """Return the defaults of these parameters of a method; some of them changed."""
    known = declared(method)
    return {key: known[key]["default"] for key in keys} | changes
