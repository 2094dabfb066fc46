"""The library's folders: small, without code of their own, and with tests of the same names."""

import pytest
from running import ROOT

LIBRARY, TESTS = ROOT / "scripts/vlselect", ROOT / "tests/unit"
PACKAGES = sorted(path.parent for path in LIBRARY.rglob("__init__.py"))


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_a_folder_is_small_and_says_nothing_itself(folder):
    assert not (folder / "__init__.py").read_text()
    assert len(list(folder.glob("*.py"))) - 1 <= 15


def test_tests_lie_in_the_folders_of_the_library():
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert folders <= {folder.relative_to(LIBRARY) for folder in PACKAGES}
