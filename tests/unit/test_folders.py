"""The library's folders: small, without code of their own, and with tests of the same names."""

import ast
import re

import pytest
from running import ROOT

from vlselect.core.sources import imported_sources

LIBRARY, TESTS = ROOT / "scripts/vlselect", ROOT / "tests/unit"
PACKAGES = sorted(path.parent for path in LIBRARY.rglob("__init__.py"))


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_a_folder_is_small_and_says_nothing_itself(folder):
    assert not (folder / "__init__.py").read_text()
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert len(modules) <= 15


def test_tests_lie_in_the_folders_of_the_library():
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert folders <= {folder.relative_to(LIBRARY) for folder in PACKAGES}


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").rglob("*.py")), ids=lambda p: p.stem)
def test_nothing_happens_at_import(path):
    plain = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Expr):  # a docstring
            assert isinstance(statement.value, ast.Constant)
        elif isinstance(statement, ast.If):
            assert ast.unparse(statement.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        elif isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = getattr(statement, "targets", None) or [statement.target]
            written = [node for target in targets for node in ast.walk(target)]
            assert not any(isinstance(n, ast.Attribute) for n in written), ast.unparse(statement)
        else:
            assert isinstance(statement, plain), ast.unparse(statement)


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda p: p.stem)
def test_entries_look_for_no_garbage_while_torch_is_imported(path):
    """A quarter of the time that a job takes to start; `log.start` lets it be looked for again."""
    sources = [source.read_text() for source in imported_sources(path.name)]
    heavy = re.compile(r"^(import|from) (torch|transformers)\b", re.MULTILINE)
    first = path.read_text().partition('if __name__ == "__main__":\n    gc.disable()')
    # these import it where they have a model to look at
    at_once = path.stem not in ("plan_run", "start_config")
    assert bool(first[1]) == (at_once and any(map(heavy.search, sources)))
    assert not heavy.search(first[0]) or not first[1]
