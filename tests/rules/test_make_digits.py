"""The entry script make_digits on a small mixture."""

import hashlib
import json

import make_digits
import numpy as np
import pytest
from PIL import Image

from vlselect.digits.mixture import draw_mixture
from vlselect.digits.scenes import render
from vlselect.digits.vocabulary import TASKS

MIXTURE = dict.fromkeys(TASKS, 20) | {"captioning": 10, "arithmetic": 5}


def make(folder, seed=0):
    files = {
        split: [str(folder / "tasks" / task / f"{split}.json") for task in TASKS]
        for split in ("validation", "test")
    }
    make_digits.main(
        [
            *("--mixture", json.dumps(MIXTURE), "--noise", "0.15", "--duplicates", "0.18"),
            *("--validation-size", "3", "--test-size", "4", "--seed", str(seed)),
            *("--records", str(folder / "mixture.json"), "--images", str(folder / "images")),
            *("--validation", *files["validation"], "--test", *files["test"]),
        ]
    )


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    make(folder)
    return folder


def test_without_all_images_there_is_no_folder_of_them(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("the disk is gone")

    monkeypatch.setattr(make_digits, "write_benchmark", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        make(tmp_path)
    assert not (tmp_path / "images").exists() and not list(tmp_path.glob(".*"))


def digests(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).digest() for p in paths}


def test_records_are_those_of_the_mixture_with_their_images(raw):
    records = json.loads((raw / "mixture.json").read_text())
    samples = draw_mixture(MIXTURE, noise=0.15, duplicates=0.18, seed=0)
    assert len(records) == len(samples) == 155
    for record, sample in zip(records, samples, strict=True):
        example = sample.example
        human, gpt = record["conversations"]
        assert (record["id"], record["task"]) == (sample.sample_id, example.task)
        assert (human["from"], gpt["from"]) == ("human", "gpt")
        assert gpt["value"] == example.answer
        assert record["meta"] == {"noisy": sample.noisy, "duplicate": sample.duplicate}
        if example.scene is None:
            assert "image" not in record and human["value"] == example.question
            continue
        assert human["value"] == f"<image>\n{example.question}"
        image = np.asarray(Image.open(raw / "images" / record["image"]))
        assert np.array_equal(image, render(example.scene))


def test_every_image_is_one_samples(raw):
    records = json.loads((raw / "mixture.json").read_text())
    for path in raw.glob("tasks/*/*.json"):
        records += json.loads(path.read_text())
    named = [record["image"] for record in records if "image" in record]
    found = list((raw / "images").rglob("*.png"))
    assert len(named) == len(set(named)) == len(found)


@pytest.mark.parametrize("task", TASKS)
def test_tasks_have_answers(raw, task):
    for split, size in (("validation", 3), ("test", 4)):
        records = json.loads((raw / "tasks" / task / f"{split}.json").read_text())
        assert len(records) == size
        for record in records:
            assert record["answers"] == [record["conversations"][1]["value"]]
            assert (raw / "images" / record["image"]).is_file()
            assert "meta" not in record


def test_the_same_seed_gives_the_same_bytes(raw, tmp_path):
    make(tmp_path)
    assert digests(tmp_path) == digests(raw)


def test_another_seed_gives_other_records(raw, tmp_path):
    make(tmp_path, seed=1)
    assert (tmp_path / "mixture.json").read_bytes() != (raw / "mixture.json").read_bytes()


def test_a_file_in_no_tasks_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="juggling"):
        make_digits.write_benchmark(
            tmp_path / "juggling" / "test.json", tmp_path / "images", "test", 3, 0
        )
