"""The models that slow tests run with: a few, or all with ``--all-families``.

A plugin of conftest.py. The adapter's unit tests always run with all families.
"""

import pytest

GLM, QWEN2, QWEN3 = "glm-4.1v-9b-thinking", "qwen2.5-vl-7b-instruct", "qwen3-vl-instruct"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag."""
    parser.addoption("--all-families", action="store_true", help="slow tests with every family")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise tests that take a family."""
    from model_families import FAMILIES
    from published_models import FOLDER, PUBLISHED

    families = {  # all of them, and those that a usual run takes
        # that differ most from LLaVA and each other, and from published ones where these run
        "workflow_family": (FAMILIES, ["gemma3"] if FOLDER.is_dir() else ["qwen2_5_vl", "gemma3"]),
        "published_model": (PUBLISHED, [GLM, QWEN2, QWEN3, "smolvlm-256m-instruct"]),
        # one whose loss counts the tokens of a step, and one whose loss does not
        "launched_family": (FAMILIES, ["llava", "qwen2_5_vl"]),
    }
    for argument, (every, usual) in families.items():
        if argument in metafunc.fixturenames:
            chosen = every if metafunc.config.getoption("--all-families") else usual
            metafunc.parametrize(argument, chosen)
