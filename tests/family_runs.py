"""Which families of models the workflow test runs with: three, or all on ``--all-families``.

A plugin of conftest.py. The adapter's unit tests see all families in any case.
"""

import pytest
from model_families import FAMILIES

USUAL = ("qwen2_5_vl", "smolvlm", "gemma3")  # those that differ most from LLaVA and one another


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag."""
    parser.addoption("--all-families", action="store_true", help="the workflow with every family")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with an argument `workflow_family` one family at a time."""
    if "workflow_family" in metafunc.fixturenames:
        families = FAMILIES if metafunc.config.getoption("--all-families") else USUAL
        metafunc.parametrize("workflow_family", families)
