import json

import pandas as pd
import pytest

from vlselect.benchmarks import Benchmark, score_task

EXAMPLES = pd.DataFrame(
    {
        "row": [0, 1],
        "sample_id": ["a", "b"],
        "answers": [["yes"], ["two", "2"]],
        "choices": [[], []],
    }
)


def test_scores_and_predictions_are_written(tmp_path):
    benchmark = Benchmark.parse("presence", "exact_match", "{}", "test.parquet")
    summary = score_task(benchmark, EXAMPLES, ["Yes.", "3"], tmp_path, seen=1)
    expected = {"task": "presence", "metric": "exact_match", "score": 50, "n": 2, "seen": 1}
    assert summary == expected == json.loads((tmp_path / "presence.json").read_text())
    table = pd.read_parquet(tmp_path / "presence.parquet")
    assert list(table) == ["row", "sample_id", "prediction", "answers", "score"]
    assert table["prediction"].tolist() == ["Yes.", "3"]
    assert table["score"].tolist() == [1, 0]
    assert [list(answers) for answers in table["answers"]] == [["yes"], ["two", "2"]]


def test_options_reach_the_metric(tmp_path):
    options = json.dumps({"variant": "textvqa"})
    benchmark = Benchmark.parse("reading", "vqa_accuracy", options, "test.parquet")
    examples = EXAMPLES.assign(answers=[["2"] * 10, ["2"] * 10])
    assert score_task(benchmark, examples, ["two", "3"], tmp_path)["score"] == 50


@pytest.mark.parametrize(
    ("metric", "options", "complaint"),
    [
        ("bleu", "{}", "no metric 'bleu'"),
        ("exact_match", "[]", "task 't': metric options"),
    ],
)
def test_wrong_flags_are_named(metric, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        Benchmark.parse("t", metric, options, "test.parquet")
