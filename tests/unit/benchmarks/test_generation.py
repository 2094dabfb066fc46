import json
from functools import partial

import pytest
import torch
from usual_models import load_vlm

from vlselect.benchmarks.generation import before_end, generate, greedy
from vlselect.pool import images
from vlselect.pool.samples import Samples

generate = partial(generate, max_pixels=10**7)

ROWS = range(14)


@pytest.fixture(scope="module")
def vlm(tiny_vlm):
    return load_vlm(str(tiny_vlm), device="cpu")


@pytest.fixture
def samples(tiny_pool):
    return Samples(tiny_pool / "samples.parquet")


def slow_answer(vlm, record, image_root, max_new_tokens):
    """Decode greedily by definition, one sample without cache; return whether it was cut.

    Image tokens are left out: a second one would have no image in a full forward pass.
    """
    pictures = [images.load(image_root, name, 10**6) for name in record.images]
    inputs = vlm.collate([vlm.encode_prompt(record, pictures)]).inputs
    tokens, cut = [], True
    for _ in range(max_new_tokens):
        logits = vlm.model(**inputs).logits[0, -1]
        logits[vlm.model.config.image_token_id] = -torch.inf
        best = logits.argmax()
        if best == vlm.tokenizer.eos_token_id:
            cut = False
            break
        tokens.append(best.item())
        inputs["input_ids"] = torch.cat([inputs["input_ids"], best.view(1, 1)], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return vlm.tokenizer.decode(tokens, skip_special_tokens=True).strip(), cut


def test_answers_are_those_of_slow_greedy_decoding(vlm, samples, tiny_pool, monkeypatch):
    pictures = tiny_pool / "images"
    left_out = [vlm.model.config.image_token_id]
    monkeypatch.setattr(vlm.model.generation_config, "suppress_tokens", left_out)
    for length in (1, 5):  # an end token is one of them
        answers, cut = generate(vlm, samples, ROWS, pictures, max_new_tokens=length)
        with torch.no_grad():
            expected = [slow_answer(vlm, r, pictures, length) for r in samples.records(ROWS)]
        assert list(zip(answers, cut, strict=True)) == expected
        assert 0 < sum(cut) < len(ROWS)
    assert len(set(answers)) > 3


def test_batch_size_does_not_matter(vlm, samples, tiny_pool, monkeypatch):
    answers = []
    for size, tokens in ((1, None), (7, None), (64, 60)):
        monkeypatch.setattr(vlm, "batch_size", size)
        monkeypatch.setattr(vlm, "batch_tokens", tokens)
        answers.append(generate(vlm, samples, ROWS, tiny_pool / "images", max_new_tokens=6))
    assert answers[0] == answers[1] == answers[2]


def test_answers_keep_the_order_of_the_rows(vlm, samples, tiny_pool):
    rows = [2, 5, 11]
    everything = generate(vlm, samples, ROWS, tiny_pool / "images", max_new_tokens=4)
    some = generate(vlm, samples, rows, tiny_pool / "images", max_new_tokens=4)
    assert some == tuple([part[row] for row in rows] for part in everything)


def test_the_reference_answer_is_not_shown(vlm, tiny_pool, samples):
    record = samples.records([3])[0]
    prompt = vlm.encode_prompt(record, [images.load(tiny_pool / "images", record.images[0], 10**6)])
    text = vlm.tokenizer.decode(prompt.inputs["input_ids"])
    assert text.rstrip().endswith("ASSISTANT:")
    assert record.turns[-1].text not in text


def test_decoding_ends_where_the_model_says_so(vlm, samples, tiny_pool, monkeypatch):
    """End tokens of the model count as well as the tokenizer's own."""
    long, cut = generate(vlm, samples, ROWS, tiny_pool / "images", max_new_tokens=6)
    word = next(answer.split()[1] for answer in long if len(set(answer.split())) > 2)
    end = vlm.tokenizer.convert_tokens_to_ids(word)
    monkeypatch.setattr(vlm.model.generation_config, "eos_token_id", [end])
    assert greedy(vlm, 6).eos_token_id == sorted({end, vlm.tokenizer.eos_token_id})
    short, still_cut = generate(vlm, samples, ROWS, tiny_pool / "images", max_new_tokens=6)
    assert all(word not in answer.split()[:-1] for answer in short)
    assert all(a.startswith(b) for a, b in zip(long, short, strict=True))
    for answer, before, after in zip(long, cut, still_cut, strict=True):
        assert after == (before and word not in answer.split())


def test_a_models_own_sampling_is_overruled(vlm, samples, tiny_pool, monkeypatch):
    expected = generate(vlm, samples, ROWS, tiny_pool / "images", max_new_tokens=4)
    own = {"do_sample": True, "temperature": 3.0, "repetition_penalty": 5.0, "num_beams": 2}
    for name, value in own.items():
        monkeypatch.setattr(vlm.model.generation_config, name, value)
    assert generate(vlm, samples, ROWS, tiny_pool / "images", max_new_tokens=4) == expected
    assert json.loads(greedy(vlm, 4).to_json_string())["max_new_tokens"] == 4


def test_an_answer_stops_before_the_token_that_ends_it():
    assert before_end([5, 6, 2, 0, 7], [2, 9]) == [5, 6]
    assert before_end([5, 6], [2]) == [5, 6] and before_end([2], [2]) == []
