"""scripts/check_samples.py: tokens as finetuning sees them, without weights, and all refusals."""

import re
import shutil
from pathlib import Path

import check_samples
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_inputs import WORDS, make_records, prepare
from transformers import CLIPImageProcessorPil
from usual_flags import usual
from usual_models import load_vlm

from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config
from vlselect.models import loading
from vlselect.pool import images
from vlselect.pool.samples import Samples

PUBLISHED = Path(__file__).parents[3] / "shared/data/processors/qwen2.5-vl-7b-instruct"
NARROW = ("b/1-0.png", Image.fromarray(np.zeros((1, 300, 3), np.uint8)))


def run(model, pool, out, *more):
    """Check a pool by a model; return the table."""
    flags = ["--samples", pool / "samples.parquet", "--images", pool / "images", "--model", model]
    check_samples.main([*usual(check_samples), *map(str, [*flags, "--out", out]), *more])
    return pd.read_parquet(out)


@pytest.fixture(scope="module")
def bare(tiny_vlm, tmp_path_factory):
    """The tiny model without its weights."""
    bare = shutil.copytree(tiny_vlm, tmp_path_factory.mktemp("models") / "bare")
    (bare / "model.safetensors").unlink()
    return bare


def test_tokens_are_those_of_the_loaded_model(tiny_vlm, bare, tiny_pool, tmp_path):
    table = run(bare, tiny_pool, tmp_path / "whole.parquet")
    parts = [
        run(bare, tiny_pool, tmp_path / f"{shard}.parquet", "--shard", shard)
        for shard in ("1-of-2", "2-of-2")
    ]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), table)

    samples, vlm = Samples(tiny_pool / "samples.parquet"), load_vlm(str(tiny_vlm), device="cpu")
    for row, record in enumerate(samples.records(range(len(samples)))):
        pictures = [images.load(tiny_pool / "images", p, 10**6) for p in record.images]
        encoded = vlm.encode(record, pictures)
        expected = [
            "pool",
            row,
            record.sample_id,
            len(encoded),
            int(encoded.response.sum()),
            "",
            "",
        ]
        assert table.loc[row].tolist() == expected
    assert table["tokens"].nunique() > 1


def refusals():
    """Samples of several kinds that a model with 30 tokens at most refuses, among sound ones."""
    records = make_records(8)
    question = {"from": "human", "value": "what " * 40}
    answer = {"from": "gpt", "value": "yes"}
    bad = {
        "no_response": [question, answer],
        "image_token": [{"from": "human", "value": "is this <IMG> ?"}, answer],
        "image_cut": [{"from": "human", "value": "what " * 40 + "<image>"}, answer],
    }
    for place, (reason, turns) in enumerate(bad.items()):
        record = {"id": reason, "task": "x", "conversations": turns}
        if reason == "image_cut":
            record["image"] = "a/0-0.png"
        records.insert(2 * place + 1, record)
    return records


@pytest.fixture(scope="module")
def strange(tiny_vlm, tmp_path_factory):
    """A pool, and a model that stands images in by <IMG>: it is no <image> marker of records."""
    folder = tmp_path_factory.mktemp("strange")
    model = shutil.copytree(tiny_vlm, folder / "model")
    for path in model.glob("*.j*"):
        path.write_text(path.read_text().replace("<image>", "<IMG>"))
    return model, prepare(folder, refusals())


def test_all_refusals_at_once_each_with_its_reason(strange, tmp_path):
    model, pool = strange
    table = run(model, pool, tmp_path / "t.parquet", "--max-length", "30").set_index("sample_id")
    found = table["reason"][table["reason"] != ""]
    assert found.index.tolist() == found.tolist() == ["no_response", "image_token", "image_cut"]
    assert (table.loc[found.index, ["tokens", "response_tokens"]] == 0).all(axis=None)
    assert (table["tokens"].drop(found.index) > 0).all()
    for name, said in {
        "no_response": "no token of its responses is left",
        "image_token": "'<IMG>', which stands for an image",
        "image_cut": "image tokens beyond max_length 30",
    }.items():
        assert said in table.loc[name, "message"] and repr(name) in table.loc[name, "message"]


def test_samples_that_are_longer_than_the_model_has_positions(strange, tmp_path):
    model, _ = strange
    records = make_records(4)
    records[1]["conversations"][-1]["value"] = "yes " * 600
    pool = prepare(tmp_path / "pool", records)
    table = run(model, pool, tmp_path / "t.parquet")
    assert table["reason"].tolist() == ["", "too_long", "", ""]
    assert "positions for 512" in table["message"][1]


class Broken:
    """Stands in for an image processor that one picture is too much for."""

    def __init__(self, sound, error):
        self.sound, self.error = sound, error

    def __getattr__(self, name):
        return getattr(self.sound, name)

    def __call__(self, images=None, **options):
        for pictures in images or []:
            if any(max(p.size) > 200 * min(p.size) for p in pictures):
                raise self.error
        return self.sound(images=images, **options)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("absolute aspect ratio must be smaller than 200, got 300.0"), "aspect_ratio"),
        (ZeroDivisionError("division by zero"), "processor"),
        (IndexError("tuple index out of range"), "processor"),
    ],
)
def test_whatever_a_processor_raises_for_a_sample_is_a_refusal(
    tiny_vlm, tmp_path, monkeypatch, error, reason
):
    pool = prepare(tmp_path / "pool", make_records(4), [NARROW])

    def load(arguments):
        vlm = whole(arguments)
        processor = vlm.processor.image_processor
        monkeypatch.setattr(vlm.processor, "image_processor", Broken(processor, error))
        return vlm

    whole = loading.load_without_weights
    monkeypatch.setattr(loading, "load_without_weights", load)
    table = run(tiny_vlm, pool, tmp_path / "t.parquet")
    assert table["reason"].tolist() == ["", reason, "", ""]
    assert str(error) in table["message"][1] and "'sample-001'" in table["message"][1]


@pytest.mark.parametrize(
    "error",
    [
        ImportError("needs num2words"),
        RuntimeError("DefaultCPUAllocator: Error code 12 (Cannot allocate memory)"),
        RuntimeError("can't start new thread"),
    ],
    ids=str,
)
def test_a_missing_library_or_memory_is_no_refusal(tiny_vlm, tmp_path, monkeypatch, error):
    pool = prepare(tmp_path / "pool", make_records(4), [NARROW])
    whole = loading.load_without_weights

    def load(arguments):
        vlm = whole(arguments)
        broken = Broken(vlm.processor.image_processor, error)
        monkeypatch.setattr(vlm.processor, "image_processor", broken)
        return vlm

    monkeypatch.setattr(loading, "load_without_weights", load)
    with pytest.raises(type(error), match=re.escape(str(error))):
        run(tiny_vlm, pool, tmp_path / "t.parquet")


def test_a_clip_checks_text_and_images(tiny_pool, tmp_path, monkeypatch):
    processor = build_clip_processor(WORDS, 32)
    build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2)).save_pretrained(
        tmp_path / "clip"
    )
    processor.save_pretrained(tmp_path / "clip")
    (tmp_path / "clip/model.safetensors").unlink()
    table = run(tmp_path / "clip", tiny_pool, tmp_path / "t.parquet")
    assert (table["reason"] == "").all() and table["tokens"].between(3, 64).all()
    monkeypatch.setattr(CLIPImageProcessorPil, "__call__", lambda *args, **options: 1 / 0)
    table = run(tmp_path / "clip", tiny_pool, tmp_path / "t.parquet")
    n_images = Samples(tiny_pool / "samples.parquet").frame(["n_images"])["n_images"]
    assert ((table["reason"] == "processor") == (n_images > 0)).all()
    assert "sample 'sample-000': ZeroDivisionError" in table["message"][0]


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no files of published checkpoints")
def test_a_published_processor_refuses_what_it_was_not_made_for(tmp_path):
    records = make_records(6)
    records[3]["conversations"][0]["value"] += " <|video_pad|>"
    records[5]["conversations"][0]["value"] += " <|image_pad|>"
    pool = prepare(tmp_path / "pool", records, [NARROW])
    table = run(PUBLISHED, pool, tmp_path / "t.parquet")
    assert table["reason"].tolist() == ["", "aspect_ratio", "", "video_token", "", "image_token"]
    assert "smaller than 200" in table["message"][1] and "'sample-001'" in table["message"][1]
