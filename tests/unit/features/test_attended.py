"""Instruction-attended visual features against full attentions of single samples."""

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from PIL import Image
from usual_models import load_vlm

from vlselect.features.attended import (
    attended_tokens,
    extract_attended,
    instruction_attention,
    instruction_rows,
)
from vlselect.pool.records import Record, Turn

pytestmark = pytest.mark.numeric

CONVERSATIONS = [
    (1, ["<image>\nwhat digit is this", "three"]),
    (0, ["how many a b c d are there", "four . very red"]),
    (1, ["<image>\nwhich colour", "blue", "and then", "tell me more please"]),
    (3, ["<image><image><image>\ndescribe it please", "a red digit and a blue one"]),
    (1, ["is there a green digit ? <image>", "no", "and a red one", "yes"]),
    (1, ["what is in the image <image>", "no"]),  # no instruction token attends to the image
]


@pytest.fixture(scope="module")
def vlm(tiny_vlm):
    return load_vlm(str(tiny_vlm), device="cpu", attention="eager")


@pytest.fixture(scope="module")
def encoded(vlm):
    rng = np.random.default_rng(0)
    samples = []
    for i, (n_images, texts) in enumerate(CONVERSATIONS):
        turns = tuple(Turn(("user", "assistant")[j % 2], text) for j, text in enumerate(texts))
        names = tuple(f"{i}-{j}.png" for j in range(n_images))
        pixels = [rng.integers(0, 255, (40, 40, 3), dtype=np.uint8) for _ in names]
        record = Record(f"sample-{i}", "test", names, turns)
        samples.append(vlm.encode(record, [Image.fromarray(p) for p in pixels]))
    return samples


def extract(vlm, batch, instruction="question", layer=1, mass=0.9):
    rows = instruction_rows(batch, instruction, vlm.special)
    return extract_attended(vlm.model, vlm.language_layers, batch, rows, layer=layer, mass=mass)


def slow_rows(vlm, i, sample, instruction):
    """Find the instruction's tokens by searching for the words of the turns in order."""
    ids = sample.inputs["input_ids"].tolist()
    found, start = {"user": [], "assistant": []}, 0
    for j, text in enumerate(CONVERSATIONS[i][1]):
        words = text.replace("<image>", " ").split()
        turn = [t for w in words for t in vlm.tokenizer(w, add_special_tokens=False)["input_ids"]]
        while ids[start : start + len(turn)] != turn:
            start += 1
        found["user" if j % 2 == 0 else "assistant"] += range(start, start + len(turn))
        start += len(turn)
    if instruction == "question":
        return found["user"]
    image = vlm.tokenizer.convert_tokens_to_ids("<image>")
    said = set(found["assistant"])
    return [t for t, token in enumerate(ids) if token != image and t not in said]


@torch.no_grad()
def slow_attended(vlm, i, sample, layer, mass, instruction):
    """Compute one sample alone, by the formulas, from a full pass that keeps everything."""
    batch = vlm.collate([sample])
    output = vlm.model(**batch.inputs, output_hidden_states=True, output_attentions=True)
    visual = np.flatnonzero(sample.image)
    if not len(visual):
        return np.zeros(32)
    weights = output.attentions[layer - 1][0].double().numpy().mean(axis=0)  # (T, T)
    rows = slow_rows(vlm, i, sample, instruction)
    received = np.array([np.mean([weights[r, v] for r in rows]) for v in visual])
    hidden = output.hidden_states[layer][0].double().numpy()
    if received.sum() == 0:
        return hidden[visual].mean(axis=0)
    received /= received.sum()
    kept, total = [], 0.0
    for v in sorted(range(len(visual)), key=lambda v: (-received[v], v)):
        kept.append(visual[v])
        total += received[v]
        if total > mass:
            break
    return hidden[kept].mean(axis=0)


@pytest.mark.parametrize("instruction", ["prompt", "question"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("layer", "mass"), [(1, 0.9), (1, 0.5), (3, 0.7)])
def test_batch_agrees_with_single_samples(vlm, encoded, layer, mass, side, instruction):
    batch = vlm.collate(encoded, padding_side=side)
    got, unattended = extract(vlm, batch, instruction, layer, mass)
    assert got.shape == (6, 32) and got.dtype == np.float16
    assert unattended == (["sample-5"] if instruction == "question" else [])
    for i, (values, sample) in enumerate(zip(got.astype(np.float64), encoded, strict=True)):
        expected = slow_attended(vlm, i, sample, layer, mass, instruction)
        assert_close_vectors(values, expected, terms=chain(vlm.model), stored="float16")


def test_the_prompt_is_all_but_images_and_what_the_assistant_says(vlm, encoded):
    batch = vlm.collate(encoded[2:3], padding_side="left")
    rows = instruction_rows(batch, "prompt", vlm.special)[0]
    texts = vlm.tokenizer.convert_ids_to_tokens(batch.inputs["input_ids"][0][rows])
    expected = "<s> USER: which colour ASSISTANT: </s> USER: and then ASSISTANT: </s>"
    assert texts == expected.split()
    words = batch.inputs["input_ids"][0][instruction_rows(batch, "question", vlm.special)[0]]
    assert vlm.tokenizer.convert_ids_to_tokens(words) == ["which", "colour", "and", "then"]
    with pytest.raises(ValueError, match="'words' is not one of"):
        instruction_rows(batch, "words", vlm.special)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_belongs_to_no_instruction(vlm, encoded, side):
    batch = vlm.collate(encoded, padding_side=side)
    for i, sample in enumerate(encoded):
        rows = instruction_rows(batch, "prompt", vlm.special)[i].nonzero().flatten()
        shift = batch.inputs["input_ids"].shape[1] - len(sample) if side == "left" else 0
        assert (rows - shift).tolist() == slow_rows(vlm, i, sample, "prompt")


def test_the_choice_of_rows_changes_the_features(vlm, encoded):
    got = [extract(vlm, vlm.collate(encoded), one, mass=0.5)[0] for one in ("prompt", "question")]
    assert (got[0] != got[1]).any()


def test_batch_size_changes_nothing(vlm, encoded):
    whole, _ = extract(vlm, vlm.collate(encoded))
    alone = [extract(vlm, vlm.collate([sample]))[0] for sample in encoded]
    terms = chain(vlm.model)
    assert_close_vectors(whole, np.concatenate(alone), terms=terms, stored="float16")


@pytest.mark.parametrize("layer", [1, 2])
def test_later_layers_and_the_output_layer_do_not_run(vlm, encoded, layer):
    modules = [*vlm.language_layers, vlm.model.get_output_embeddings()]
    calls = [0] * len(modules)

    def count(i):
        def hook(*_):
            calls[i] += 1

        return hook

    handles = [m.register_forward_pre_hook(count(i)) for i, m in enumerate(modules)]
    try:
        extract(vlm, vlm.collate(encoded), layer=layer)
    finally:
        for handle in handles:
            handle.remove()
    assert calls == [1] * layer + [0] * (5 - layer)


def test_model_works_as_before_afterwards(vlm, encoded):
    batch = vlm.collate(encoded)
    with torch.no_grad():
        before = vlm.model(**batch.inputs).logits
        extract(vlm, batch)
        after = vlm.model(**batch.inputs).logits
    assert torch.equal(before, after)


def test_text_only_batch_runs_no_pass(vlm, encoded):
    batch = vlm.collate([encoded[1]])
    batch.inputs = {}
    features, unattended = extract(vlm, batch)
    assert features.shape == (1, 32) and not features.any() and unattended == []


def test_missing_attention_weights_are_an_error(tiny_vlm, encoded):
    faster = load_vlm(str(tiny_vlm), device="cpu", attention="sdpa")
    with pytest.raises(RuntimeError, match="--attention eager"):
        extract(faster, faster.collate(encoded))


def test_image_without_instruction_gets_the_mean_of_its_visual_tokens(vlm, encoded):
    batch = vlm.collate(encoded)
    batch.instruction[2] = False
    batch.instruction[1] = False  # has no image, so it is not affected
    got, unattended = extract(vlm, batch)
    assert unattended == ["sample-2", "sample-5"]
    whole, _ = extract(vlm, vlm.collate(encoded), mass=1.0)
    assert_close_vectors(got[2], whole[2], terms=chain(vlm.model), stored="float16")


@pytest.mark.parametrize("layer", [0, 5])
def test_layer_outside_the_model_is_an_error(vlm, encoded, layer):
    with pytest.raises(ValueError, match=f"layer {layer} is not one of 1 to 4"):
        extract(vlm, vlm.collate(encoded), layer=layer)


@pytest.mark.parametrize(
    ("attention", "mass", "expected"),
    [
        ([1, 4, 1, 2], 0.74, [1, 3]),  # cumulative shares 1/2, 3/4, 7/8, 1
        ([1, 4, 1, 2], 0.75, [0, 1, 3]),  # at most the mass: one more, the earlier of the tie
        ([1, 4, 1, 2], 0.9, [0, 1, 2, 3]),
        ([1, 4, 1, 2], 1.0, [0, 1, 2, 3]),
        ([1, 4, 1, 2], 0.25, [1]),  # at least one
        ([1, 0, 0], 0.9, [0]),
        ([0, 0, 0], 0.9, [0, 1, 2]),
    ],
)
def test_shortest_prefix_that_passes_the_mass(attention, mass, expected):
    for scale in (1.0, 1e-6):
        weights = scale * torch.tensor(attention, dtype=torch.float32)
        assert attended_tokens(weights, mass).tolist() == expected


def test_prefix_agrees_with_a_count_over_random_attention():
    rng = np.random.default_rng(0)
    for n in range(1, 30):
        attention = rng.random(n).astype(np.float32)
        shares = np.sort(attention.astype(np.float64))[::-1] / attention.astype(np.float64).sum()
        count = min(int((np.cumsum(shares) <= 0.9).sum()) + 1, n)
        expected = np.sort(np.argsort(-attention, kind="stable")[:count])
        assert attended_tokens(torch.from_numpy(attention), 0.9).tolist() == expected.tolist()


def test_attention_is_averaged_over_heads_and_instruction_rows():
    weights = torch.rand(2, 4, 4)
    instruction = torch.tensor([False, False, True, True])
    image = torch.tensor([False, True, True, False])
    got = instruction_attention(weights, instruction, image)
    expected = [sum(weights[h, r, c] for h in (0, 1) for r in (2, 3)) / 4 for c in (1, 2)]
    torch.testing.assert_close(got, torch.tensor(expected))
