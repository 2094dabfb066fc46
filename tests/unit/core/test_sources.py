"""Code as an input of rules: imports are found transitively, and nothing else is."""

import pytest

from vlselect.core import sources


def names(paths):
    return [path.relative_to(sources.SCRIPTS).as_posix() for path in paths]


def test_a_script_comes_first_and_its_modules_follow():
    found = names(sources.imported_sources("cast_votes.py"))
    assert found[0] == "cast_votes.py"
    assert "vlselect/gradients/voting.py" in found and "vlselect/core/store.py" in found
    assert "vlselect/gradients/per_sample.py" not in found


def test_imports_inside_functions_and_chains_count(tmp_path, monkeypatch):
    package = tmp_path / "vlselect"
    package.mkdir()
    for name, text in {
        "a.py": "def f():\n  try: ...\n  except OSError:\n    from vlselect import b\n",
        "b.py": "import vlselect.c\nimport json\n",
        "c.py": "",
        "d.py": "",
        "__init__.py": "",
    }.items():
        (package / name).write_text(text)
    (tmp_path / "main.py").write_text("from vlselect.a import f\n")
    monkeypatch.setattr(sources, "SCRIPTS", tmp_path)
    found = {path.name for path in sources.imported_sources("main.py")}
    assert found >= {"main.py", "a.py", "b.py", "c.py"} and "d.py" not in found


def test_a_missing_script_is_an_error():
    with pytest.raises(FileNotFoundError, match="no_such.py"):
        sources.imported_sources("no_such.py")


def test_digest_follows_the_content(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("1")
    before = sources.code_digest([path])
    assert before == sources.code_digest([path])
    path.write_text("2")
    assert before != sources.code_digest([path])
