"""Published templates and tokenizers: in every turn, each response is trained with one end token.

The files are those of real checkpoints, see the README beside them; models are made from their
config, without weights.
"""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from family_tokenizers import byte_level, fast, sentence_piece
from model_families import TEXTS, llava
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText
from usual_models import make_vlm

from vlselect.benchmarks.generation import greedy
from vlselect.models.processors import load_processor
from vlselect.pool.records import Record, Turn

FOLDER = Path(__file__).parents[4] / "shared/data/processors"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no files of published checkpoints")

RNG = np.random.default_rng(0)
PICTURES = [Image.fromarray(RNG.integers(0, 255, (40, w, 3), dtype=np.uint8)) for w in (40, 90, 64)]


def template(name):
    if (path := FOLDER / name / "chat_template.jinja").is_file():
        return path.read_text("utf-8")
    return json.loads((FOLDER / f"templates/{name}.json").read_text("utf-8"))["chat_template"]


def published(name, other=None):
    """Load a checkpoint's own files, or with another revision's template."""
    processor = load_processor(str(FOLDER / name))
    if other:
        processor.chat_template = processor.tokenizer.chat_template = template(other)
    if hasattr(processor.image_processor, "do_image_splitting"):
        processor.image_processor.do_image_splitting = False  # a thousand tokens for each image
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(FOLDER / name))
    return make_vlm(model, processor, name)


def stand_in(other, tokenizer, image):
    """Put a published template alone on a tokenizer that has its tokens."""
    processor, model = llava(TEXTS, 2, 32)
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "image_token": image}
    processor.tokenizer = fast(tokenizer, **names)
    processor.image_token = image
    processor.image_token_id = processor.tokenizer.convert_tokens_to_ids(image)
    model.config.image_token_id = processor.image_token_id
    processor.chat_template = template(other)
    return make_vlm(model, processor, other)


MISTRAL = ["<pad>", "</s>", "<s>", "[INST]", "[/INST]", "[IMG]", "[SYSTEM_PROMPT]"]
MISTRAL += ["[/SYSTEM_PROMPT]"]
GLM = ["<pad>", "</s>", "<s>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"]
GLM += ["<|begin_of_image|>", "<|image|>", "<|end_of_image|>"]
CASES = {
    "smolvlm-256m-instruct": (published, "<end_of_utterance>"),
    "granite-docling-258m": (published, "<|end_of_text|>"),
    "qwen2.5-vl-7b-instruct": (published, "<|im_end|>"),
    "qwen3-vl-instruct": (published, "<|im_end|>"),
    "llava-onevision-qwen2-0.5b-ov-hf": (published, "<|im_end|>"),
    "llava-v1.6-mistral-7b-hf": (published, "</s>"),
    "llava-v1.6-mistral-7b-hf_older": (
        lambda name: published(name.removesuffix("_older"), name),
        "</s>",
    ),
    "llava-1.5-7b-hf": (
        lambda name: stand_in(
            name,
            sentence_piece(TEXTS, ["</s>", "<pad>", "<image>"], "<s>", prefix=True),
            "<image>",
        ),
        "</s>",
    ),
    "mistral-small-3.1": (
        lambda name: stand_in(name, byte_level(TEXTS, MISTRAL), "[IMG]"),
        "</s>",
    ),
    "pixtral-12b": (lambda name: stand_in(name, byte_level(TEXTS, MISTRAL), "[IMG]"), "</s>"),
    "glm-4.1v-9b-thinking": (
        lambda name: stand_in(name, byte_level(TEXTS, GLM), "<|image|>"),
        "</s>",
    ),
}
INSERTED = {"llava-v1.6-mistral-7b-hf_older", "llava-1.5-7b-hf", "glm-4.1v-9b-thinking"}


def talk(*texts):
    roles = ("user", "assistant") * len(texts)
    turns = tuple(Turn(role, text) for role, text in zip(roles, texts, strict=False))
    return Record("talk", "x", tuple("abc"[: "".join(texts).count("<image>")]), turns)


THREE = talk(
    *("<image>\n<image>\nwhat is in the images?", "a red digit.", "tell me more", "4 of 5!"),
    *("<image>\nand this one?", "the second\n\none: `x = 3`"),
)
TEXT = talk("tell me more please", "no", "sure?", "Yes, 🙂", "why?", "it is very green")


@pytest.fixture(scope="module", params=CASES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def vlm(name):
    return CASES[name][0](name)


@pytest.fixture(scope="module")
def end(name):
    return CASES[name][1]


def encode(vlm, record):
    return vlm.encode(record, PICTURES[: len(record.images)])


@pytest.mark.parametrize("record", [THREE, TEXT], ids=["images", "text"])
def test_trained_tokens_are_each_response_and_one_end_token(vlm, end, record):
    encoded = encode(vlm, record)
    ids = encoded.inputs["input_ids"]
    bounds = np.flatnonzero(np.diff(np.r_[False, encoded.response, False])).reshape(-1, 2)
    trained = [vlm.tokenizer.decode(ids[start:stop]).strip() for start, stop in bounds]
    assert trained == [turn.text + end for turn in record.turns if turn.role == "assistant"]
    ends = (ids == vlm.tokenizer.convert_tokens_to_ids(end)).numpy()
    assert all(ends[stop - 1] for _, stop in bounds)
    assert not any(ends[stop : stop + 2].any() for _, stop in bounds)  # nor after a space


@pytest.mark.parametrize("record", [THREE, TEXT], ids=["images", "text"])
def test_a_prompt_is_the_beginning_of_what_is_trained(vlm, record):
    whole = encode(vlm, record)
    starts = np.flatnonzero(np.diff(np.r_[False, whole.response].astype(int)) == 1)
    for turns, start in zip((1, 3, 5), starts, strict=True):
        said = record.turns[:turns]
        shown = sum(turn.text.count("<image>") for turn in said)
        prompt = Record("talk", "x", record.images[:shown], said)
        ids = vlm.encode_prompt(prompt, PICTURES[:shown]).inputs["input_ids"].tolist()
        assert whole.inputs["input_ids"][: len(ids)].tolist() == ids
        between = vlm.tokenizer.decode(whole.inputs["input_ids"][len(ids) : start])
        assert between.strip() == ""  # a space may precede a response


def test_decoding_ends_at_the_end_token(vlm, end):
    assert vlm.tokenizer.convert_tokens_to_ids(end) in vlm.turn_ends
    assert set(vlm.turn_ends) <= set(greedy(vlm, 8).eos_token_id)


def test_the_log_names_the_end_token_once(name, end, caplog):
    with caplog.at_level(logging.INFO, logger="vlselect.models.vlm"):
        vlm = CASES[name][0](name)
        encode(vlm, THREE), encode(vlm, TEXT)
    (line,) = [r.getMessage() for r in caplog.records if r.name == "vlselect.models.vlm"]
    assert end in line and ("does not end responses" in line) == (name in INSERTED)


def test_a_literal_that_looks_like_an_end_stays_behind_the_end_token():
    vlm = CASES["llava-v1.6-mistral-7b-hf_older"][0]("llava-v1.6-mistral-7b-hf_older")
    text = vlm.tokenizer.decode(encode(vlm, TEXT).inputs["input_ids"])
    assert len(re.findall(r"</s> ?<\\s>", text)) == text.count("<\\s>") == 3
