"""Methods take what they are given: a parameter's default stands in its declaration alone."""

import ast
import inspect
import re

import pytest
from config_defaults import SCHEMA, declared, keywords
from running import ROOT

from vlselect.core import registry

METHODS = sorted(path.stem for path in (ROOT / "rules/methods").glob("*.smk"))
FOLDERS = ("checkpoints", "clusters", "features", "gradients", "methods", "pool")
OTHERS = {
    "training_state _load_from_checkpoint model",  # as in transformers' Trainer
    "image_roots __init__ follow_links",  # what the intake accepted is read again
    "folder_root __init__ follow_links",
    *("intake examine id_key", "records parse_record id_key"),  # a task's have it
    *("records sample_name id_key", "records _build id_key"),
    *("records parse_record source_key", "records parse_task_record source_key"),  # none
    *("records parse_record forbidden", "intake examine exclude"),
    *("intake examine workers", "intake Tally sources", "intake read_location images"),  # others
}
RULES = {"tasks"}  # what rules add that is in no method's config entry
HANDED = re.compile(r'parameters\(\s*"(\w+)",([^)]*)\)')


def functions(method):
    """Functions of a method's module that get parameters."""
    module = registry.load("method", method)
    return [getattr(module, n) for n in ("score", "select", "prepare") if hasattr(module, n)]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_no_defaults_of_its_own(method):
    for function in functions(method):
        for key, parameter in keywords(function).items():
            assert parameter.default is inspect.Parameter.empty, f"{function.__name__}: {key}"


@pytest.mark.parametrize("method", METHODS)
def test_what_a_rule_hands_over_is_declared_and_what_the_function_takes(method):
    text = (ROOT / f"rules/methods/{method}.smk").read_text()
    handed = {tuple(re.findall(r'"(\w+)"|(\w+)=', keys)) for name, keys in HANDED.findall(text)}
    handed = {tuple(map("".join, keys)) for keys in handed}
    taken = {tuple(keywords(f)) for f in functions(method) if f.__name__ != "prepare"} - {()}
    for keys in taken:
        assert set(keys) in map(set, handed), f"no rule hands over {keys}"
    assert set().union(*handed) - RULES <= set(declared(method))


def defaults(folder: str) -> set[str]:
    """Parameters and fields with a default in a folder: `<module> <function, class> <name>`."""
    found = set()
    for path in (ROOT / "scripts/vlselect" / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                fields = [f for f in node.body if isinstance(f, ast.AnnAssign) and f.value]
                found |= {f"{path.stem} {node.name} {field.target.id}" for field in fields}
            elif isinstance(node, ast.FunctionDef):
                given = node.args.posonlyargs + node.args.args
                given = given[len(given) - len(node.args.defaults) :]
                pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                given += [argument for argument, default in pairs if default is not None]
                found |= {f"{path.stem} {node.name} {argument.arg}" for argument in given}
    return found


def settings(schema: dict) -> set[str]:
    """Keys of a section of the schema and of the sections in it."""
    parts = schema.get("properties", {})
    return set(parts).union(*map(settings, parts.values()))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_library_has_no_defaults_for_what_the_config_sets(folder):
    sections = ("pool", "features", "finetune", "gradients", "generate")
    keys = set().union(*(declared(m) for m in METHODS))
    keys |= set().union(*(settings(SCHEMA["properties"][section]) for section in sections))
    assert {"sigma", "max_pixels", "mass", "learning_rate", "nonzeros", "max_new_tokens"} <= keys
    assert not {found for found in defaults(folder) - OTHERS if found.split()[2] in keys}
