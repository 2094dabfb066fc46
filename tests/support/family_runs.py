"""Which families of models the slow tests run with: a few, or all on ``--all-families``.

A plugin of conftest.py. The adapter's unit tests see all families in any case.
"""

import pytest
from model_families import FAMILIES

USUAL = {
    # those that differ most from LLaVA and one another
    "workflow_family": ("qwen2_5_vl", "smolvlm", "gemma3"),
    # one whose own loss counts the tokens of a step, and one whose own does not
    "launched_family": ("llava", "qwen2_5_vl"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag."""
    parser.addoption("--all-families", action="store_true", help="slow tests with every family")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with such an argument one family at a time."""
    for argument, usual in USUAL.items():
        if argument in metafunc.fixturenames:
            families = FAMILIES if metafunc.config.getoption("--all-families") else usual
            metafunc.parametrize(argument, families)
