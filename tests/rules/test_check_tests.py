"""scripts/check_tests.py: tests that cannot be scored are named at once, none is answered."""

import json

import check_tests
import pytest
from task_files import write_task

JUDGE = {"protocol": "relative", "base_url": "http://127.0.0.1:9/v1", "model": "m", "cache": "c"}


@pytest.fixture
def sets(tiny_pool, tmp_path):
    """Paths of a test set with choices, and of one without."""
    write_task(tiny_pool, tmp_path / "lettered.parquet", range(6), choices=("yes", "no"))
    write_task(tiny_pool, tmp_path / "free.parquet", range(6))
    return tmp_path / "lettered.parquet", tmp_path / "free.parquet"


def check(out, *tasks):
    """Check (name, metric, options, path) and return what is written."""
    flags = [
        part
        for name, metric, options, path in tasks
        for part in ("--task", name, metric, json.dumps(options), str(path))
    ]
    check_tests.main([*flags, "--out", str(out)])
    return json.loads(out.read_text())


def test_test_sets_that_can_be_scored_are_counted(sets, tmp_path):
    lettered, free = sets
    tasks = [("a", "multiple_choice", {}, lettered), ("b", "anls", {"threshold": 0.4}, free)]
    assert check(tmp_path / "tests.json", *tasks) == {"a": 6, "b": 6}


def test_all_that_cannot_be_scored_is_named(sets, tmp_path, monkeypatch):
    lettered, free = sets
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    tasks = [
        ("fine", "exact_match", {}, lettered),
        ("unlettered", "multiple_choice", {}, free),
        ("lone", "vqa_accuracy", {}, free),
        ("unnamed", "mme", {}, free),
        ("bare", "judge", JUDGE, free),
        ("keyless", "judge", JUDGE | {"protocol": "graded", "api_key_env": "NO_SUCH_KEY"}, free),
    ]
    with pytest.raises(ValueError, match="tests that cannot be scored") as caught:
        check(tmp_path / "tests.json", *tasks)
    complaints = dict(line.split(", metric ") for line in str(caught.value).splitlines()[1:])
    assert "has no choices" in complaints["task 'unlettered'"]
    assert "only one answer" in complaints["task 'lone'"]
    assert "has no 'category'" in complaints["task 'unnamed'"]
    assert "has no 'context'" in complaints["task 'bare'"]
    assert "'NO_SUCH_KEY' (api_key_env) is empty" in complaints["task 'keyless'"]
    assert len(complaints) == 5 and not (tmp_path / "tests.json").exists()
