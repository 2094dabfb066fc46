"""Scores are read from files, or refused."""

import json

import pytest

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
