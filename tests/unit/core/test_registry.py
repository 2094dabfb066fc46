"""Modules by name: found without running them, refused with what there is."""

import importlib
from pathlib import Path

import pytest

from vlselect.core import registry
from vlselect.core.errors import InputError
from vlselect.methods import random
from vlselect.methods.baselines import el2n

SOME = {
    "export": ["ids", "llama_factory", "llava", "ms_swift", "trl"],
    "layout": ["gqa", "mmbench", "mme", "pope", "science_qa", "vqa"],
    "method": ["coincide", "full", "icons", "random"],
    "metric": ["exact_match", "gqa", "judge", "mmbench", "pope"],
}
HELPERS = {
    "export": {"image_files", "json_lines"},
    "layout": {"building", "question"},
    "method": {"maths", "baselines"},
    "metric": {"evaluation", "units", "vqa_normalisation", "yes_no"},
}


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_module_of_a_kind_is_listed_and_its_helpers_are_not(kind):
    names = registry.names(kind)
    assert set(SOME[kind]) <= set(names) and not HELPERS[kind] & set(names)
    assert names == sorted(names) and "__init__" not in names
    function = registry.KINDS[kind][1]
    assert all(callable(getattr(registry.load(kind, name), function)) for name in names)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_new_file_is_found_without_being_run(kind, tmp_path, monkeypatch):
    package, function = registry.KINDS[kind]
    (tmp_path / "mine.py").write_text(f"def {function}():\n    ...\n\n\nraise SystemExit\n")
    (tmp_path / "other.py").write_text(f"class A:\n    def {function}(self):\n        ...\n")
    monkeypatch.setattr(importlib.import_module(package), "__path__", [str(tmp_path)])
    assert registry.names(kind) == ["mine"]


def test_a_module_is_loaded_by_its_name():
    assert registry.load("method", "random") is random
    assert registry.load("method", "el2n") is el2n  # in a folder of its own
    assert registry.source("method", "el2n") == Path(el2n.__file__)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_other_names_are_refused_with_those_that_there_are(kind):
    known = ", ".join(registry.names(kind))
    for name in ("nonsense", "os.path", "../random", "", "registry", *HELPERS[kind]):
        with pytest.raises(InputError) as caught:
            registry.load(kind, name)
        assert str(caught.value) == f"no {kind} {name!r}; there are {known}"
