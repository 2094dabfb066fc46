"""A first config: what a look at records finds, and YAML that holds what it was made from."""

import json
from collections import Counter

import pytest
import yaml

from vlselect.core.errors import InputError
from vlselect.plan.first_config import Look, Task, half_precision, take, write_config
from vlselect.pool.intake import Outcome, Tally
from vlselect.pool.records import Rejection, parse_record


def outcome(place, **more):
    turns = [{"from": "human", "value": "what"}, {"from": "gpt", "value": "it is " * (place + 1)}]
    raw = json.dumps({"id": f"s{place}", "conversations": turns} | more)
    return Outcome(place, raw, f"s{place}", parse_record(raw), None)


def look(n=4, total=9, **columns):
    found = [outcome(i, **{key: make(i) for key, make in columns.items()}) for i in range(n)]
    return take(found, total)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, None),
        ({"task": lambda i: f"t{i % 2}"}, "task"),
        ({"task": lambda i: "t", "dataset": lambda i: f"d{i % 3}"}, "dataset"),  # one is none
        ({"type": lambda i: "long " * 30 + str(i)}, None),
        ({"source": lambda i: i}, None),
    ],
)
def test_a_key_with_a_few_values_names_sources(columns, expected):
    assert look(**columns).source_key == expected


def test_a_key_that_some_records_lack_names_none():
    found = take([outcome(0, task="a"), outcome(1, task="b"), outcome(2)], 3)
    assert found.source_key is None


def test_ids_are_looked_for_where_there_is_no_id():
    assert look().id_key == "id"
    without = Look(2, Tally(accepted=2), keys=Counter({"sample_id": 2, "uid": 1}))
    assert without.id_key == "sample_id"


def test_what_was_seen_is_said():
    rejected = Outcome(4, "{}", "s4", None, Rejection("bad_type", "it is"))
    found = take([*(outcome(i, task=f"t{i % 2}") for i in range(3)), rejected], 9)
    said = "\n".join(found.lines())
    assert "9 records, the first 4 looked at: 3 accepted" in said
    assert "bad_type: 1, first record 4, id 's4': it is" in said
    assert "0 images, 3 samples without one, 0 of several turns" in said
    assert "words of an answer: 4 (median), at most 6" in said
    assert "2 sources by 'task': t0 2, t1 1" in said


def test_no_good_record_is_an_error():
    rejected = Outcome(0, "{}", "s", None, Rejection("bad_type", "it is"))
    with pytest.raises(InputError, match="0 of 1 records accepted\n  bad_type: 1"):
        take([rejected], 1)


def test_a_task_is_its_files_and_metric():
    assert Task.parse("a=v.json,t.json,vqa_accuracy") == Task(
        "a", "v.json", "t.json", "vqa_accuracy"
    )
    assert Task.parse("a=,t.json") == Task("a", None, "t.json", "exact_match")
    for wrong in ("a", "a=", "=v.json", "a=v,t,m,x"):
        with pytest.raises(InputError, match="is not <name>="):
            Task.parse(wrong)


def made(found, tasks=(), **changes):
    settings = {"run": "on", "records": "data/a, b: c.json", "images": "data/images", "ratio": 0.15}
    settings |= {"model": "owner/name", "revision": "1e5", "half": True, "methods": []}
    text = write_config(found, tasks, **settings | {"command": "x --y"} | changes)
    assert "# Made by `x --y`" in text
    return yaml.safe_load(text)


def test_the_config_holds_what_it_was_made_from():
    tasks = [Task("no", "v.json", "t.json", "gqa")]
    config = made(look(total=50_000, task=lambda i: f"t{i % 2}"), tasks)
    assert config["run"] == "on"
    assert config["pool"] == {
        "records": "data/a, b: c.json",
        "images": "data/images",
        "source_key": "task",
        "shards": 3,
        "max_rejected": 0.2,
    }
    assert config["tasks"] == {"no": {"validation": "v.json", "test": "t.json", "metric": "gqa"}}
    assert config["models"]["target"]["revision"] == "1e5"
    assert config["models"]["target"]["dtype"] == "bfloat16"
    assert config["ratios"] == [0.15] and config["proxy"]["model"] == "reference"
    assert [*config["methods"]] == ["random", "clean_shares", "coincide"]
    assert config["experiments"] == {"main": {"methods": ["random", "clean_shares", "coincide"]}}


def test_without_tasks_and_images_there_is_less():
    config = made(look(), images=None, revision=None, half=False, methods=["el2n", "mcl"])
    assert not {"tasks", "gradients", "proxy"} & {*config} and "images" not in config["pool"]
    assert config["methods"] == {"el2n": {}, "mcl": {}}
    own = {"path": "owner/name", "batch_size": 16}
    assert config["models"] == {"target": own, "reference": own}


def test_methods_that_run_no_model_need_none():
    config = made(look(), model=None, revision=None, half=False, ratio=None, methods=["mcl"])
    assert not {"models", "proxy", "finetune"} & {*config}
    assert config["ratios"] == [0.2] and config["export"] == ["llava"]


def test_methods_by_gradients_get_their_section():
    config = made(look(), [Task("vqa", "v.json", None, "gqa")], methods=["icons"])
    assert config["gradients"] == {"model": "target"} and "proxy" not in config


def test_a_model_is_a_folder_or_a_hub_id_with_a_commit(tmp_path):
    assert half_precision("owner/name", "abc")
    with pytest.raises(InputError, match="no such folder; for a hub id, say which commit"):
        half_precision(str(tmp_path / "m"), None)
    with pytest.raises(InputError, match=r"no config\.json there"):
        half_precision(str(tmp_path), None)
    for dtype, half in (("float16", True), ("float32", False)):
        (tmp_path / "config.json").write_text(json.dumps({"torch_dtype": dtype}))
        assert half_precision(str(tmp_path), None) is half
