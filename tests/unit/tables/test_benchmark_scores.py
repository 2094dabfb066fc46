"""Scores are read from files, or refused."""

import json

import pytest

from vlselect.core.errors import InputError
from vlselect.tables import declarations
from vlselect.tables.benchmark_scores import read_score


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"task": "y", "metric": "m", "score": 1.0, "n": 2}, "belongs to task 'y'"),
        ({"task": "x", "metric": "m", "score": None, "n": 2}, "not a finite number"),
        ({"task": "x", "metric": "m", "score": float("nan"), "n": 2}, "not a finite number"),
    ],
)
def test_refuses_scores_that_are_none(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_score(path, declarations.Run.parse("majority"), "x")


@pytest.mark.parametrize("content", [None, "", "[]", '{"task": "x", "score": 1}', '{"task"'])
def test_names_a_file_that_is_gone_or_broken(tmp_path, content):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=str(path)):
        read_score(path, declarations.Run.parse("majority"), "x")
