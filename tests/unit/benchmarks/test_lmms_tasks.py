"""Task files for lmms_eval, answers read back, and errors."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from vlselect.benchmarks import lmms_documents, lmms_tasks
from vlselect.core.errors import InputError
from vlselect.pool.records import parse_task_record
from vlselect.pool.samples import TASK_SCHEMA, SamplesWriter

TURNS = [("human", "<image>\nWhat is it?"), ("gpt", "a cat"), ("human", "Sure?"), ("gpt", "yes")]


@pytest.fixture
def documents(tmp_path):
    """Return documents of a test set: one question, and a conversation with a known last answer."""
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    with SamplesWriter(tmp_path / "test.parquet", TASK_SCHEMA) as writer:
        for name, n_turns in (("one", 1), ("talk", 4)):
            turns = [{"from": role, "value": text} for role, text in TURNS[:n_turns]]
            record = {"id": name, "image": "a.png", "answers": ["yes"], "conversations": turns}
            writer.write(parse_task_record(json.dumps(record)), json.dumps(record))
    return list(lmms_documents.documents(tmp_path / "test.parquet", str(tmp_path), 1000))


def test_messages_end_with_the_last_question_and_hold_the_images(documents):
    one, talk = map(lmms_documents.doc_to_messages, documents)
    assert [part["type"] for part in one[0]["content"]] == ["image", "text"]
    assert one[0]["content"][0]["url"].getpixel((0, 0)) == (255, 0, 0)
    assert [message["role"] for message in talk] == ["user", "assistant", "user"]
    assert lmms_documents.doc_to_text(documents[1]) == "Sure?"
    assert [image.size for image in lmms_documents.doc_to_visual(documents[1])] == [(8, 8)]


def test_a_task_file_is_yaml_that_names_our_functions(documents, tmp_path):
    lmms_tasks.write_task(tmp_path, "vqa", documents, 7)
    text = (tmp_path / "vqa.yaml").read_text()
    task = yaml.safe_load(text.replace("!function ", ""))
    assert text.count("!function ") == 3
    for name in ("doc_to_visual", "doc_to_text", "doc_to_messages"):
        module, _, function = task[name].rpartition(".")
        assert module == lmms_documents.__name__ and callable(getattr(lmms_documents, function))
    assert task["task"] == "vlselect_vqa" and task["generation_kwargs"]["max_new_tokens"] == 7
    assert task["generation_kwargs"]["until"] == []  # an empty line in an answer does not end it
    lines = Path(task["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
    assert [json.loads(line) for line in lines] == documents


def write_output(folder, answers, counts=None):
    out = folder / "out/model"
    out.mkdir(parents=True)
    values = [{"doc_id": i, "filtered_resps": text} for i, text in answers.items()]
    if counts:
        values = [{**v, "token_counts": [counts[v["doc_id"]]]} for v in values]
    lines = map(json.dumps, values)
    (out / "1_samples_vlselect_vqa.jsonl").write_text("\n".join(lines))
    results = {"results": {"vlselect_vqa": {"exact_match,none": 0.5}}}
    (out / "1_results.json").write_text(json.dumps(results))


def test_answers_come_back_in_the_order_of_the_samples(tmp_path):
    write_output(tmp_path, {1: " no", 0: "yes "})
    assert lmms_tasks.read_answers(tmp_path, "vqa", 2) == (["yes", "no"], 50.0, None)
    with pytest.raises(ValueError, match="2 answers to 3 questions"):
        lmms_tasks.read_answers(tmp_path, "vqa", 3)
    with pytest.raises(FileNotFoundError, match="has 0 files"):
        lmms_tasks.read_answers(tmp_path, "gqa", 2)


@pytest.mark.parametrize(
    ("counts", "lengths"),
    [
        ([{"output_tokens": 7}, {"output_tokens": 2}], [7, 2]),
        ([{"output_tokens": 7}, None], None),
        ([{"output_tokens": 7}, {}], None),
    ],
)
def test_lengths_are_those_that_the_adapter_counted(tmp_path, counts, lengths):
    write_output(tmp_path, {1: " no", 0: "yes "}, counts)
    assert lmms_tasks.read_answers(tmp_path, "vqa", 2) == (["yes", "no"], 50.0, lengths)


def test_a_failure_that_an_adapter_goes_over_is_an_error():
    lmms_tasks.check_output("Model Responding: 100%")
    with pytest.raises(InputError, match="out of memory"):
        lmms_tasks.check_output("1/2\nERROR - Error CUDA out of memory in generating\n2/2")


def test_samples_without_an_image_are_refused_before_the_run():
    lmms_tasks.check_adapter("llava_hf", "vqa", 0)
    lmms_tasks.check_adapter("qwen2_5_vl", "vqa", 2)
    with pytest.raises(ValueError, match="task 'vqa': .* cannot answer its 2 samples"):
        lmms_tasks.check_adapter("llava_hf", "vqa", 2)
