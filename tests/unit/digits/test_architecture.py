"""Tiny models and processors: chat template, round trip through disk, padding sides."""

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, CLIPModel, CLIPProcessor

from vlselect.digits.architecture import (
    build_clip,
    build_clip_processor,
    build_model,
    build_processor,
    vision_config,
)

pytestmark = pytest.mark.numeric

WORDS = ["what", "is", "this", "?", "red", "blue", "digit", "1", "2", "3"]
CHAT = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is this?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "red"}]},
    {"role": "user", "content": "is this 3?"},
    {"role": "assistant", "content": "blue digit"},
]


@pytest.fixture(scope="module")
def processor():
    return build_processor(WORDS, image_size=32, patch_size=16)


@pytest.fixture(scope="module")
def model(processor):
    return build_model(processor, hidden=24, layers=2, heads=2, seed=1).eval()


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_the_template_renders_turns(processor):
    assert processor.apply_chat_template(CHAT) == (
        "USER: <image>\nwhat is this? ASSISTANT: red</s>USER: is this 3? ASSISTANT: blue digit</s>"
    )


def test_system_turns_come_first_as_they_are(processor):
    chat = [{"role": "system", "content": "this is red"}, *CHAT[2:3]]
    expected = "this is red USER: is this 3? ASSISTANT: "
    assert processor.apply_chat_template(chat, add_generation_prompt=True) == expected


@pytest.mark.parametrize("turn", [1, 3])
def test_a_prompt_is_a_prefix_of_the_answered_chat(processor, turn):
    prompt = processor.apply_chat_template(CHAT[:turn], add_generation_prompt=True)
    whole = processor.apply_chat_template(CHAT[: turn + 1])
    assert whole.startswith(prompt) and whole != prompt
    assert processor.apply_chat_template(CHAT).startswith(whole)


def test_strings_and_parts_render_alike(processor):
    parts = [
        {"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]}
        for turn in CHAT[2:]
    ]
    assert processor.apply_chat_template(parts) == processor.apply_chat_template(CHAT[2:])


def test_an_image_becomes_one_token_a_patch(processor):
    text = processor.apply_chat_template(CHAT)
    ids = processor(text=[text], images=[picture()], return_tensors="pt")["input_ids"][0]
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    assert (ids == image).sum() == 4
    assert processor.tokenizer.unk_token_id not in ids
    assert (ids == processor.tokenizer.eos_token_id).sum() == 2


def test_model_and_processor_survive_the_disk(processor, model, tmp_path):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    again = AutoProcessor.from_pretrained(tmp_path)
    text = again.apply_chat_template(CHAT)
    assert text == processor.apply_chat_template(CHAT)
    one = processor(text=[text], images=[picture()], return_tensors="pt")
    other = again(text=[text], images=[picture()], return_tensors="pt")
    assert all(torch.equal(one[name], other[name]) for name in one)
    with torch.no_grad():
        assert torch.equal(model(**one).logits, loaded(**other).logits)


def test_weights_follow_from_the_seed(processor):
    def weights(seed):
        small = build_model(processor, hidden=16, layers=1, heads=2, seed=seed)
        return torch.cat([p.flatten() for p in small.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_clip_survives_the_disk_and_ignores_padding(tmp_path):
    processor = build_clip_processor(WORDS, image_size=32)
    clip = build_clip(processor, vision_config(32, 16, hidden=16, layers=2, heads=2)).eval()
    clip.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded, again = (
        CLIPModel.from_pretrained(tmp_path).eval(),
        CLIPProcessor.from_pretrained(tmp_path),
    )
    texts, images = ["red", "what is this blue digit?"], [picture(0), picture(1)]
    inputs = again(text=texts, images=images, return_tensors="pt", padding=True)
    alone = again(text=texts[:1], images=images[:1], return_tensors="pt")
    with torch.no_grad():
        both, one = loaded(**inputs), loaded(**alone)
        assert torch.equal(both.logits_per_image, clip(**inputs).logits_per_image)
    assert_close_vectors(both.text_embeds[:1], one.text_embeds, terms=chain(clip.text_model))
    assert not torch.allclose(both.text_embeds[0], both.text_embeds[1], atol=1e-2)
