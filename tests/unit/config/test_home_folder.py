"""Paths below the home folder: every path of the config, and nothing else, may begin with ~."""

import copy

import pytest
from config_defaults import GOOD, SCHEMA

from vlselect.config.yaml_files import expand_home

PATHS = {  # key, and where in the config it stands
    "records": ("pool",),
    "images": ("pool",),
    "validation": ("tasks", "vqa"),
    "test": ("tasks", "vqa"),
    "path": ("models", "target"),
    "keep": ("constraints",),
    "exclude": ("constraints",),
    "python": ("evaluation", "lmms_eval"),
    "container": (),
}


def config(where, key, value):
    """Return a config with one value in one place."""
    found = copy.deepcopy(GOOD)
    section = found
    for name in where:
        section = section.setdefault(name, {})
    section[key] = value
    return found


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    return str(tmp_path)


@pytest.mark.parametrize("key", PATHS)
def test_a_path_begins_at_home(home, key):
    for value in ("~/x/*.json", "~"):
        found = config(PATHS[key], key, value)
        assert expand_home(found, SCHEMA) == config(PATHS[key], key, home + value[1:])
    for value in ("x/~", "./~/x", "owner/model", "$HOME/x", "${HOME}/x", None):
        found = config(PATHS[key], key, value)
        assert expand_home(found, SCHEMA) == config(PATHS[key], key, value)


def test_paths_in_parts_and_builds(home):
    found = config(("pool", "sources", "coco"), "records", "~/coco.json")
    assert expand_home(found, SCHEMA)["pool"]["sources"]["coco"]["records"] == f"{home}/coco.json"
    build = {
        "layout": "~/no path",
        "questions": {"validation": ["~/a", "b"], "test": "~/c"},
        "annotations": ["~/d"],
        "splits": "~/e",
        "split": "~/no path",
        "image": "~/no path",
        "images": "~/f",
    }
    found = expand_home(config(("tasks", "vqa"), "build", build), SCHEMA)["tasks"]["vqa"]["build"]
    assert found["questions"] == {"validation": [f"{home}/a", "b"], "test": f"{home}/c"}
    assert [found[key] for key in ("annotations", "splits")] == [[f"{home}/d"], f"{home}/e"]
    assert found["images"] == f"{home}/f"
    assert {found[key] for key in ("layout", "split", "image")} == {"~/no path"}


def test_texts_are_left(home):
    found = config(("pool",), "forbidden", ["~/x"])
    assert expand_home(found, SCHEMA)["pool"]["forbidden"] == ["~/x"]
