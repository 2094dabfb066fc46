"""The examples of docs/tasks.md: one for each metric, with the score that the page states."""

import json
import re
from pathlib import Path

import pytest
from chat_server import serve

from vlselect.benchmarks.predictions import read_examples
from vlselect.core import registry
from vlselect.pool.records import parse_task_record
from vlselect.pool.samples import TASK_SCHEMA, SamplesWriter

PAGE = (Path(__file__).resolve().parents[3] / "docs/tasks.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"^### (?P<metric>\w+)\n.*?```json\n(?P<records>.*?)\n```\n"
    r"Predictions `(?P<predictions>\[.*?\])`(?: with `(?P<options>\{.*?\})`)? "
    r"score `(?P<score>[\d.]+)`\.$",
    re.DOTALL | re.MULTILINE,
)
EXAMPLES = {match["metric"]: match for match in EXAMPLE.finditer(PAGE)}


def test_every_metric_has_an_example():
    assert sorted(EXAMPLES) == registry.names("metric")


def test_every_layout_is_described():
    described = re.findall(r"^\| `(\w+)` \|", PAGE.split("## Building a task")[1], re.MULTILINE)
    assert sorted(described) == registry.names("layout")


@pytest.mark.parametrize("metric", EXAMPLES)
def test_an_example_gets_its_score(metric, tmp_path):
    example = EXAMPLES[metric]
    with SamplesWriter(tmp_path / "test.parquet", TASK_SCHEMA) as writer:
        for record in json.loads(example["records"]):
            raw = json.dumps(record)
            writer.write(parse_task_record(raw), raw)
    predictions = json.loads(example["predictions"])
    options = json.loads(example["options"] or "{}")
    examples = read_examples(tmp_path / "test.parquet").to_dict("records")
    with serve(lambda body, number: "10 5\nThe second is vague.") as judge:
        if metric == "judge":
            options |= {"base_url": judge.base_url, "model": "m", "cache": str(tmp_path / "cache")}
        evaluation = registry.load("metric", metric).evaluate(predictions, examples, **options)
    assert evaluation.summary["score"] == pytest.approx(float(example["score"]), abs=0.005)


def test_examples_with_a_response_are_validation_records_too():
    responses = 0
    for example in EXAMPLES.values():
        for record in json.loads(example["records"]):
            if record["conversations"][-1]["from"] == "gpt":
                parse_task_record(json.dumps(record), require_response=True)
                responses += 1
    assert responses >= 2
