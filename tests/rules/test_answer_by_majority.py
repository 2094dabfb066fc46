import json

import answer_by_majority
import pandas as pd
import pytest

from vlselect.pool.records import parse_record, parse_task_record
from vlselect.pool.samples import SCHEMA, TASK_SCHEMA, SamplesWriter


def exchange(i, question, reply, image=False, **more):
    """Return a LLaVA record of one question and one answer as JSON."""
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": reply}]
    record = {"id": f"s{i}", "conversations": turns, **more}
    if image:
        turns[0]["value"] = f"<image>\n{question}"
        record["image"] = f"{i}.png"
    return json.dumps(record)


def write(path, texts, schema, parse):
    with SamplesWriter(path, schema) as writer:
        for text in texts:
            writer.write(parse(text), text)


@pytest.fixture
def flags(tmp_path):
    pool = [("which colour?", a) for a in ("red", "blue", "blue")] + [("how many?", "3")]
    texts = [exchange(i, q, a, image=i % 2 == 0) for i, (q, a) in enumerate(pool)]
    write(tmp_path / "pool.parquet", texts, SCHEMA, parse_record)
    tests = [("which colour?", "blue"), ("how many?", "2"), ("is it red?", "yes")]
    texts = [exchange(i, q, a, image=True, answer=a) for i, (q, a) in enumerate(tests)]
    write(tmp_path / "test.parquet", texts, TASK_SCHEMA, parse_task_record)
    texts = [exchange(i, "?", a, answer=a) for i, a in enumerate(["no", "yes", "yes", "no"])]
    write(tmp_path / "validation.parquet", texts, TASK_SCHEMA, parse_task_record)
    return [
        *("--samples", str(tmp_path / "pool.parquet")),
        *("--task", "mixed", "exact_match", "{}", str(tmp_path / "test.parquet")),
        *("--out", str(tmp_path / "out")),
    ]


def test_pool_answers_then_validation_answers(flags, tmp_path, monkeypatch):
    monkeypatch.setattr(answer_by_majority, "READ", 3)
    answer_by_majority.main([*flags, "--validation", "mixed", str(tmp_path / "validation.parquet")])
    table = pd.read_parquet(tmp_path / "out/mixed.parquet")
    assert table["prediction"].tolist() == ["blue", "3", "no"]
    assert table["score"].tolist() == [1, 0, 0]
    summary = json.loads((tmp_path / "out/mixed.json").read_text())
    assert (summary["n"], summary["questions_in_pool"]) == (3, 2)
    assert summary["score"] == pytest.approx(100 / 3)


def test_without_validation_an_unknown_question_is_an_error(flags, tmp_path):
    with pytest.raises(ValueError, match="no validation answers"):
        answer_by_majority.main(flags)
    assert not (tmp_path / "out").exists()
