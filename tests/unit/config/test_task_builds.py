"""What `build` in a task's config means, and what is refused before any job."""

import copy
from pathlib import Path

import pytest
from config_defaults import SCHEMA

from vlselect.config.checks import ConfigError, check
from vlselect.config.task_builds import (
    expand_builds,
    files,
    layout_keys,
    name_metrics,
    parameters,
    sets,
)
from vlselect.core import registry


@pytest.fixture
def config(tmp_path, monkeypatch):
    """From a task's `build` (and further keys) to a config that passed the schema."""
    monkeypatch.chdir(tmp_path)
    for name in ("q.json", "a.json", "p.json", "s.json", "t.tsv"):
        Path(name).touch()
    Path("MME/existence").mkdir(parents=True)
    Path("MME/existence/1.txt").touch()

    def config(build, **task):
        config = {
            "run": "test",
            "pool": {"records": "records.json", "images": "images"},
            "tasks": {"it": {"build": copy.deepcopy(build), **task}},
            "models": {"target": {"path": "model"}},
            "methods": {"random": {}},
            "experiments": {"main": {"methods": ["random"]}},
        }
        name_metrics(config)
        check(config, SCHEMA)
        return config

    return config


def test_a_built_task_gets_its_files_and_the_layouts_metric(config):
    filled = config({"layout": "gqa", "questions": "q.json", "validation": 0.1, "images": "gqa"})
    expand_builds(filled)
    task, folder = filled["tasks"]["it"], "results/test/tasks_built/it"
    assert task["validation"] == f"{folder}/validation.json"
    assert task["test"] == f"{folder}/test.json"
    assert task["images"] == "gqa" and task["metric"] == "gqa"
    assert parameters(task["build"]) == {"questions": "q.json"}


def test_what_is_not_built_is_left_alone(config):
    filled = config(
        {"layout": "mmbench", "questions": "t.tsv"}, validation="own.json", metric="multiple_choice"
    )
    expand_builds(filled)
    task = filled["tasks"]["it"]
    assert task["validation"] == "own.json" and task["metric"] == "multiple_choice"
    assert task["images"] == "results/test/tasks_built/it/images"


def test_keys_by_split(config):
    build = {"layout": "vqa", "questions": {"validation": ["q.json"], "test": "t.tsv"}}
    build |= {"annotations": "a.json", "validation": 5}
    expand_builds(config(build))
    assert sets(parameters(build)) == {
        "validation": {"questions": ["q.json"], "annotations": "a.json"},
        "test": {"questions": "t.tsv", "annotations": "a.json"},
    }
    assert files(build) == ["q.json", "a.json", "t.tsv"]


def test_a_folder_stands_for_its_text_files(config):
    build = config({"layout": "mme", "questions": "MME"})["tasks"]["it"]["build"]
    assert files(build) == ["MME/existence/1.txt"]


GQA = {"layout": "gqa", "questions": "q.json"}
WRONG = {
    "build.layout: no layout 'magic'; there are gqa, mmbench": {"layout": "magic"},
    "build.annotations: layout gqa does not know it": {**GQA, "annotations": "a.json"},
    "build.splits: layout science_qa needs it": {"layout": "science_qa", "questions": "p.json"},
    "build: no file 'none.json'": {"layout": "gqa", "questions": "none.json"},
    "build.language: layout gqa has no prompt in 'cn'; it has en": {**GQA, "language": "cn"},
    "build.prompt: 'Answer!' has no place {question}": {**GQA, "prompt": "Answer!"},
    "build: neither validation nor test": {**GQA, "test": 0},
    "build.validation: 2.5 is neither": {**GQA, "validation": 2.5},
    "build.validation: if it takes all, test has to be 0": {**GQA, "validation": "all"},
    "build.validation: the files are given for each split": {
        **GQA,
        "questions": {"test": "q.json"},
        "validation": 3,
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_named(config, message):
    with pytest.raises(ConfigError) as error:
        expand_builds(config(WRONG[message]))
    assert f"tasks.it.{message}" in str(error.value)


def test_two_sources_of_one_split_are_refused(config):
    with pytest.raises(ConfigError, match=r"tasks.it.test: a file is given, but `build` makes one"):
        expand_builds(config(GQA, test="own.json"))
    with pytest.raises(ConfigError, match="tasks.it.images: 'a', but build.images is 'b'"):
        expand_builds(config({**GQA, "images": "b"}, images="a"))


def test_a_prompt_of_ones_own_may_be_in_any_language(config):
    expand_builds(config({**GQA, "language": "cn", "prompt": "{question}\n用一个词回答。"}))


def test_every_layout_has_a_prompt_for_each_of_its_languages():
    prompts = {name: registry.load("layout", name).PROMPTS for name in registry.names("layout")}
    languages = {name: set(given) for name, given in prompts.items()}
    assert languages.pop("mmbench") == {"en", "cn"}
    assert all(given == {"en"} for given in languages.values())
    for given in prompts.values():
        assert all("{question}" in prompt for prompt in given.values())


def test_every_key_of_every_layout_is_in_the_schema():
    task = SCHEMA["properties"]["tasks"]["additionalProperties"]
    known = set(task["properties"]["build"]["properties"])
    for name in registry.names("layout"):
        needed, taken = layout_keys(name)
        assert "questions" in needed and needed <= taken <= known
