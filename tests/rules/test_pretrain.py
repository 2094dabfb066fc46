"""The entry scripts pretrain_vision and pretrain_base, one after the other, for a few steps."""

import pandas as pd
import pretrain_base
import pretrain_vision
import pytest
import torch
from PIL import Image
from pretrain_base import SIZES
from transformers import AutoModelForImageTextToText, AutoProcessor, CLIPModel, CLIPProcessor

from vlselect.digits.scenes import IMAGE_SIZE


@pytest.fixture(autouse=True, scope="module")
def torch_as_before():
    """Restore torch's threads and determinism, which entry scripts set for their own process."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


@pytest.fixture(scope="module")
def pretrain(tmp_path_factory):
    def run():
        folder = tmp_path_factory.mktemp("models")
        shared = ("--seed", "0", "--threads", "1")
        pretrain_vision.main(
            ["--scenes", "96", "--batch-size", "32", *shared, "--out", str(folder / "clip")]
        )
        for size in SIZES:
            pretrain_base.main(
                [
                    *("--vision", str(folder / "clip"), "--samples", "64", "--lookup", "-1"),
                    *("--size", size, *shared, "--out", str(folder / size)),
                ]
            )
        return folder

    return run


@pytest.fixture(scope="module")
def models(pretrain):
    return pretrain()


def test_the_clip_loads_with_its_processor(models):
    clip = CLIPModel.from_pretrained(models / "clip")
    processor = CLIPProcessor.from_pretrained(models / "clip")
    image = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE))
    texts = ["a red 3 at the top left.", "a blue 4 at the bottom right."]
    inputs = processor(text=texts, images=[image], return_tensors="pt", padding=True)
    assert clip(**inputs).logits_per_image.shape == (1, 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_base_loads_and_answers_with_and_without_an_image(models, size):
    model = AutoModelForImageTextToText.from_pretrained(models / size).eval()
    processor = AutoProcessor.from_pretrained(models / size)
    for images in ([Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE))], None):
        content = [{"type": "text", "text": "which digit is red?"}]
        content = [{"type": "image"}, *content] if images else content
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        inputs = processor(text=[text], images=images, return_tensors="pt")
        assert processor.tokenizer.unk_token_id not in inputs["input_ids"]
        told = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        assert told.shape[1] > inputs["input_ids"].shape[1]


def test_the_small_one_has_a_sixth_of_the_decoders_weights(models):
    weights = [
        sum(
            weight.numel()
            for name, weight in AutoModelForImageTextToText.from_pretrained(models / size)
            .get_decoder()
            .layers.named_parameters()
        )
        for size in ("base", "small")
    ]
    assert 5.5 < weights[0] / weights[1] < 6.5


def test_the_base_has_the_clips_tower(models):
    tower = CLIPModel.from_pretrained(models / "clip").vision_model.state_dict()
    model = AutoModelForImageTextToText.from_pretrained(models / "base")
    own = model.model.vision_tower.state_dict()
    assert set(own) == set(tower)
    assert all(torch.equal(own[name], tower[name]) for name in tower)


def test_logs_say_what_was_reached(models):
    vision = pd.read_csv(models / "clip" / "training_log.csv")
    base = pd.read_csv(models / "base" / "training_log.csv")
    assert list(vision["step"]) == [1, 2, 3] and len(base) == 4
    assert vision[["digit_accuracy", "recall_at_1"]].iloc[-1].between(0, 1).all()
    assert 0 <= base["lookup"].iloc[-1] <= 1


@pytest.mark.parametrize("script", [pretrain_vision, pretrain_base])
def test_a_model_that_is_not_saved_as_a_whole_is_not_there(models, tmp_path, monkeypatch, script):
    def fail(*arguments):
        raise OSError("the disk is gone")

    monkeypatch.setattr("vlselect.digits.training.Trainer.write_log", fail)
    flags = {
        pretrain_vision: ["--scenes", "96", "--batch-size", "32"],
        pretrain_base: ["--vision", str(models / "clip"), "--samples", "64", "--lookup", "-1"]
        + ["--size", "base"],
    }
    out = tmp_path / "model"
    with pytest.raises(OSError, match="the disk is gone"):
        script.main([*flags[script], "--seed", "0", "--threads", "1", "--out", str(out)])
    assert list(tmp_path.iterdir()) == []


def test_two_runs_give_the_same_bytes(models, pretrain):
    again = pretrain()
    for path in sorted(p for p in models.rglob("*") if p.is_file()):
        assert path.read_bytes() == (again / path.relative_to(models)).read_bytes(), path
