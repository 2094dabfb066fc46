"""The model families that slow tests run with: a few, or all with ``--all-families``.

A plugin of conftest.py. The adapter's unit tests always run with all families.
"""

import pytest
from model_families import FAMILIES

USUAL = {
    # those that differ most from LLaVA and each other
    "workflow_family": ("qwen2_5_vl", "smolvlm", "gemma3"),
    # one whose loss counts the tokens of a step, and one whose loss does not
    "launched_family": ("llava", "qwen2_5_vl"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag."""
    parser.addoption("--all-families", action="store_true", help="slow tests with every family")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise tests that take a family."""
    for argument, usual in USUAL.items():
        if argument in metafunc.fixturenames:
            families = FAMILIES if metafunc.config.getoption("--all-families") else usual
            metafunc.parametrize(argument, families)
