import json

import pandas as pd
import pytest
from chat_server import serve

from vlselect.benchmarks.predictions import Benchmark, read_examples, score_task
from vlselect.pool.records import parse_task_record
from vlselect.pool.samples import TASK_SCHEMA, SamplesWriter

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
    names = ["row", "sample_id", "prediction", "answers", "score", "unit", "unit_score"]
    assert list(table) == names
    assert table["unit"].tolist() == [0, 1] and table["unit_score"].tolist() == [100, 0]
    assert table["prediction"].tolist() == ["Yes.", "3"]
    assert table["score"].tolist() == [1, 0]
    assert [list(answers) for answers in table["answers"]] == [["yes"], ["two", "2"]]


def write_test(path, records):
    with SamplesWriter(path, TASK_SCHEMA) as writer:
        for record in records:
            raw = json.dumps(record)
            writer.write(parse_task_record(raw), raw)


def test_examples_carry_the_question_and_the_record_as_delivered(tmp_path):
    turns = [
        {"from": "human", "value": "<image>\nHello"},
        {"from": "gpt", "value": "Hi"},
        {"from": "human", "value": "Is it red?"},
    ]
    first = {"id": "a", "image": "x/1.png", "conversations": turns, "answer": "yes", "index": 7}
    second = {"id": "b", "conversations": [turns[2]], "answer": "B", "choices": ["no", "yes"]}
    write_test(tmp_path / "test.parquet", [first, second])
    examples = read_examples(tmp_path / "test.parquet").to_dict("records")
    assert [example["record"] for example in examples] == [first, second]
    assert [example["question"] for example in examples] == ["Is it red?"] * 2
    assert [list(example["images"]) for example in examples] == [["x/1.png"], []]
    assert [list(example["choices"]) for example in examples] == [[], ["no", "yes"]]
    assert [example["sample_id"] for example in examples] == ["a", "b"]


@pytest.mark.parametrize(
    ("metric", "fields", "answers", "predictions", "score"),
    [
        ("pope", {"category": "random"}, ["yes", "no"], ["Yes", "No"], 100),
        ("mme", {"category": "OCR"}, ["Yes", "No"], ["Yes", "Yes"], 50),
        ("science_qa", {}, ["A", "B"], ["A", "The answer is B."], 100),
        ("gqa", {"types": {"structural": "query"}}, ["cat", "dog"], ["Cat.", "a dog"], 50),
        ("mmbench", {}, ["A", "B"], ["A", "x"], 100),
    ],
)
def test_benchmarks_are_scored_from_their_files(
    metric, fields, answers, predictions, score, tmp_path
):
    turn = {"from": "human", "value": "<image>\nWhat?"}
    shared = {"image": "x/1.png", "conversations": [turn], **fields}
    own = [{"id": "s-0", "index": 5, "choices": ["x", "y"]}]
    own += [{"id": "s-1", "index": 1000005, "choices": ["y", "x"]}]
    records = [{**shared, **own[i], "answer": answer} for i, answer in enumerate(answers)]
    write_test(tmp_path / "test.parquet", records)
    benchmark = Benchmark.parse(metric, metric, "{}", str(tmp_path / "test.parquet"))
    examples = read_examples(benchmark.test)
    assert score_task(benchmark, examples, predictions, tmp_path)["score"] == score
    assert json.loads((tmp_path / f"{metric}.json").read_text())["n"] == 2


def test_a_judge_is_asked_about_the_files_questions(tmp_path):
    record = {"id": "a", "conversations": [{"from": "human", "value": "Is it red?"}]}
    write_test(tmp_path / "test.parquet", [{**record, "answer": "It is.", "context": "A red ball"}])
    with serve(lambda body, n: "8 6") as server:
        options = {"protocol": "relative", "base_url": server.base_url, "model": "m"}
        options = json.dumps({**options, "cache": str(tmp_path / "verdicts")})
        benchmark = Benchmark.parse("bench", "judge", options, str(tmp_path / "test.parquet"))
        summary = score_task(benchmark, read_examples(benchmark.test), ["Yes."], tmp_path)
    assert summary["score"] == 75
    prompt = server.requests[0]["body"]["messages"][1]["content"]
    assert all(text in prompt for text in ("Is it red?", "It is.", "A red ball", "Yes."))


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
        ("exact_match", '{"colour": 1}', "task 't': options of metric 'exact_match'.*'colour'"),
        ("judge", '{"protocol": "graded"}', "task 't': options of metric 'judge'"),
    ],
)
def test_wrong_flags_are_named(metric, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        Benchmark.parse("t", metric, options, "test.parquet")
