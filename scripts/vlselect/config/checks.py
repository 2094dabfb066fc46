"""Check a config before any job runs: types and ranges by JSON schema, then its cross-references.

Read by the workflow, so beside the standard library it imports jsonschema only, and what of ours
does the same.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping

import jsonschema

from vlselect.config.budgets import counts_tokens
from vlselect.config.selection_seeds import WARMED_UP
from vlselect.core import registry
from vlselect.core.errors import InputError

RENAMED = {  # keys of earlier versions, and what to write now
    "methods.icons.percentile": "is called methods.icons.top_percent now",
    "plan": "is gone; `make plan TRIAL=<n>` measures with a trial run on n samples",
}


BRACES = "in braces Snakemake sees a wildcard: rename it, or name a link to it"
NUMBER = re.compile(r"([+-]?\d+)(\.\d*)?(?:[eE]([+-]?)(\d+))?")  # as people write it


class ConfigError(InputError):
    """Something in the config is wrong; the message names the key."""


def _without_braces(validator: object, path: bool, value: object, schema: Mapping) -> Iterator:
    """Yield an error of each text with a brace, of a key that is marked ``path: true``."""
    items = value.values() if isinstance(value, Mapping) else value
    for item in [items] if isinstance(items, str) else items or ():
        if path and isinstance(item, str) and {*"{}"} & {*item}:
            yield jsonschema.ValidationError(f"{item!r}: {BRACES}")


def _is_whole(checker: object, value: object) -> bool:
    """Return whether a value is an integer; 16.0, which JSON schema takes for one, is none."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"path": _without_braces},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def check_names(config: dict) -> None:
    """Check that no key has the name that it had in an earlier version, and take such keys out.

    Raises
    ------
    ConfigError
        Naming every such key and what it is called now.
    """
    problems = [f"{old}: {now}" for old, now in RENAMED.items() if _removed(config, old)]
    if problems:
        raise ConfigError("\n".join(problems))


def resolve(schema: Mapping) -> dict:
    """Return a schema in which each ``$ref`` to one of its ``$defs`` is replaced by what it means.

    Keywords beside a reference, such as a description of their own, hold over those of the
    definition.
    """

    def filled(part: object) -> object:
        if isinstance(part, list):
            return [filled(item) for item in part]
        if not isinstance(part, Mapping):
            return part
        own = {key: filled(value) for key, value in part.items() if key != "$ref"}
        if "$ref" not in part:
            return own
        return {**filled(schema["$defs"][part["$ref"].removeprefix("#/$defs/")]), **own}

    return filled(schema)


def check(value: dict, schema: Mapping, where: str = "config") -> None:
    """Fill the schema's defaults into `value`, then validate it.

    Parameters
    ----------
    value : dict
        A config or a section of it; changed in place.
    schema : mapping
        JSON schema (draft 2020-12) with ``default`` where a key may be left out, and ``$ref`` to
        its own ``$defs``.
    where : str
        Begins the key's path in messages.

    Raises
    ------
    ConfigError
        Naming every wrong key, its value and what is allowed.
    """
    schema = resolve(schema)
    _fill_defaults(value, schema)
    found = _Validator(schema).iter_errors(value)
    errors = sorted(found, key=lambda error: list(map(str, error.path)))
    if errors:
        raise ConfigError("\n".join(f"{_path(where, error)}: {_say(error)}" for error in errors))


def check_references(
    config: Mapping,
    needs_validation: set[str] = frozenset(),
    without_gradients: set[str] = frozenset(),
    by_proxy: set[str] = frozenset(),
) -> None:
    """Check that every name in the config means something that the config defines.

    Parameters
    ----------
    config : mapping
        A config that passed `check`.
    needs_validation : set of str
        Methods that read validation gradients.
    without_gradients : set of str
        Those of them that read other features of validation samples.
    by_proxy : set of str
        Those of them that go by the section `proxy` or, without it, by `gradients`.

    Raises
    ------
    ConfigError
        Naming each such key and the name that it refers to.
    """
    problems = list(_dangling(config))
    used = {m for e in config["experiments"].values() for m in e["methods"]}
    for method in sorted(used & needs_validation):
        problems += [
            f"tasks.{name}.validation: missing, but method {method!r} needs it"
            for name, task in config["tasks"].items()
            if "validation" not in task
        ]
        if not config["tasks"]:
            problems.append(f"tasks: empty, but method {method!r} needs validation data")
        if method in without_gradients and not config["models"]:
            problems.append(f"models: empty, but method {method!r} runs one")
        if method in by_proxy:
            if not {*WARMED_UP} & {*config}:
                problems.append(f"proxy: missing, but method {method!r} needs it, or `gradients`")
        elif "gradients" not in config and method not in without_gradients:
            problems.append(f"gradients: missing, but method {method!r} needs it")
    if problems:
        raise ConfigError("\n".join(problems))


def check_formats(formats: Iterable[str]) -> None:
    """Check that the export formats exist: modules of vlselect/subsets/exports/ with a write().

    Raises
    ------
    ConfigError
        Naming the key, its value and the known formats.
    """
    known = registry.names("export")
    problems = [
        f"export: no format {name!r}; there are {', '.join(known)}"
        for name in formats
        if name not in known
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _dangling(config: Mapping) -> Iterator[str]:
    models, methods = config["models"], config["methods"]
    for name, parameters in methods.items():
        for key in ("model", "clip"):
            if (parameters or {}).get(key) not in (None, *models):
                yield f"methods.{name}.{key}: no model {parameters[key]!r} in `models`"
    for section in WARMED_UP:
        if section in config and config[section]["model"] not in models:
            yield f"{section}.model: no model {config[section]['model']!r} in `models`"
    if "gate" in config and not {*WARMED_UP} & {*config}:
        yield "gate: needs the section `proxy` or `gradients`, by whose warmed-up model losses are"
    for name, experiment in config["experiments"].items():
        for key, known in (("methods", methods), ("models", models)):
            for item in experiment[key]:
                if item not in known:
                    yield f"experiments.{name}.{key}: no {item!r} in `{key}`"
    yield from _constraint_problems(config)
    for stage in sorted({"pool", "tasks"} & set(config.get("given", ()))):
        if config.get("on_contamination", "warn") != "warn":
            yield f"on_contamination: {stage} is given, and only what the run prepares is compared"
    for name, task in config["tasks"].items():
        if task.get("group") in config["tasks"]:
            yield f"tasks.{name}.group: {task['group']!r} is the name of a task"


def _constraint_problems(config: Mapping) -> Iterator[str]:
    constraints = config.get("constraints", {})
    if counts_tokens(config) and not config["models"]:
        yield "tokens: budgets in tokens need a model that counts them, but `models` is empty"
    named = {
        "token_model": config.get("token_model"),
        "constraints.duplicates.model": (constraints.get("duplicates") or {}).get("model"),
    }
    for key, model in named.items():
        if model is not None and model not in config["models"]:
            yield f"{key}: no model {model!r} in `models`"
    for source in constraints.get("quota", {}):
        for other in ("minimum", "maximum"):
            if source in constraints.get(other, {}):
                yield f"constraints.quota.{source}: also in constraints.{other}"


def _removed(config: object, path: str) -> bool:
    """Take a key out; return whether it was there."""
    *sections, last = path.split(".")
    for key in sections:
        config = config.get(key) if isinstance(config, Mapping) else None
    if not isinstance(config, Mapping) or last not in config:
        return False
    del config[last]
    return True


def _fill_defaults(value: object, schema: Mapping) -> None:
    if not isinstance(value, dict):
        return
    for key, child in schema.get("properties", {}).items():
        if "default" in child and key not in value:
            value[key] = _copy(child["default"])
        if key in value:
            _fill_defaults(value[key], child)
    other = schema.get("additionalProperties")
    if isinstance(other, Mapping):
        for key in value.keys() - schema.get("properties", {}).keys():
            _fill_defaults(value[key], other)


def _copy(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


def _path(where: str, error: jsonschema.ValidationError) -> str:
    return ".".join([where, *(str(part) for part in error.absolute_path)])


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question after the known name that a wrong one may stand for, or nothing."""
    found = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _say(error: jsonschema.ValidationError) -> str:
    """Return one line on what is wrong, with the schema's own description of the key."""
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(map(str, error.instance.keys() - set(known)))
        named = ", ".join(f"{key!r}{nearest(key, known)}" for key in unknown)
        return f"unknown key {named}; known keys: {', '.join(known)}"
    about = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    return f"{error.message}{_as_number(error)}" + (f" ({about})" if about else "")


def _as_number(error: jsonschema.ValidationError) -> str:
    """Return how to write what stands for a number: to YAML 2e-5 is text, and 16.0 not whole."""
    refused = error.validator in ("type", "anyOf")  # and not for its size
    if refused and isinstance(error.instance, float) and error.instance.is_integer():
        return f"; write {error.instance:.0f}"
    match = refused and isinstance(error.instance, str) and NUMBER.fullmatch(error.instance)
    if not match:
        return ""
    whole, fraction, sign, exponent = match.groups()
    if exponent is None:
        return f"; in quotes this is text: write {error.instance}"
    fraction = fraction if fraction not in (None, ".") else ".0"
    return f"; to YAML this is text: write {whole}{fraction}e{sign or '+'}{exponent}"
