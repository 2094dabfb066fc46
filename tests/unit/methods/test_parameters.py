"""Methods take what they are given: a parameter's default stands in its declaration alone."""

import importlib
import inspect
import re

import pytest
from config_defaults import declared, keywords
from running import ROOT

METHODS = sorted(path.stem for path in (ROOT / "rules/methods").glob("*.smk"))
HANDED = re.compile(r'parameters\(\s*"(\w+)",([^)]*)\)')


def functions(method):
    """Functions of a method's module that get parameters."""
    module = importlib.import_module(f"vlselect.methods.{method}")
    return [getattr(module, n) for n in ("score", "select", "prepare") if hasattr(module, n)]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_no_defaults_of_its_own(method):
    for function in functions(method):
        for key, parameter in keywords(function).items():
            assert parameter.default is inspect.Parameter.empty, f"{function.__name__}: {key}"


@pytest.mark.parametrize("method", METHODS)
def test_what_a_rule_hands_over_is_declared_and_what_the_function_takes(method):
    text = (ROOT / f"rules/methods/{method}.smk").read_text()
    handed = {tuple(re.findall(r'"(\w+)"', keys)) for name, keys in HANDED.findall(text)}
    taken = {tuple(keywords(f)) for f in functions(method) if f.__name__ != "prepare"} - {()}
    for keys in taken:
        assert set(keys) in map(set, handed), f"no rule hands over {keys}"
    assert set().union(*handed) <= set(declared(method))
