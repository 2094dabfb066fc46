"""Losses with and without the image, against single samples whose attention is masked by hand."""

import numpy as np
import pytest
import torch
from closeness import assert_close_sums, assert_close_vectors, chain
from masked_images import PICTURES, encode_all, masked_by_hand
from model_families import FAMILIES, TEXTS, open_family, save_family
from other_families import qwen3_5
from usual_models import make_vlm

from vlselect.features.forward_pass import extract_features
from vlselect.features.gains import COLUMNS, extract_gains, recorded_positions
from vlselect.pool.records import Record, Turn

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module", params=FAMILIES)
def vlm(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("family") / request.param
    return open_family(save_family(request.param, folder, TEXTS), attention="eager")


@torch.no_grad()
def slow_loss(vlm, sample):
    """Return the mean loss of one unpadded sample and the state before its first response."""
    output = vlm.model(**vlm.collate([sample]).inputs, output_hidden_states=True)
    told = np.flatnonzero(sample.response)
    losses = [
        -torch.log_softmax(output.logits[0, t - 1].double(), dim=0)[sample.inputs["input_ids"][t]]
        for t in told
    ]
    return sum(map(float, losses)) / len(losses), output.hidden_states[-1][0, told[0] - 1]


def slow_gains(vlm, sample):
    seen, state = slow_loss(vlm, sample)
    if not sample.image.any():
        return (seen, 0.0), state
    with masked_by_hand(vlm, sample.image):
        blind, state = slow_loss(vlm, sample)
    return (seen, blind - seen), state


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_mixed_padded_batch_agrees_with_single_samples_masked_by_hand(vlm, side):
    samples = encode_all(vlm)
    got = extract_gains(vlm.model, vlm.collate(samples, padding_side=side))
    assert got["gains"].shape == (len(samples), 2) and got["gains"].dtype == np.float32
    assert got["question"].dtype == np.float16
    for i, sample in enumerate(samples):
        (loss, gain), state = slow_gains(vlm, sample)
        terms = chain(vlm.model)
        assert_close_sums(got["gains"][i, 0], loss, terms=terms, stored="float32")
        assert_close_sums(got["gains"][i, 1], gain, terms=terms, scale=2 * loss + abs(gain))
        assert_close_vectors(got["question"][i], state, terms=terms, stored="float16")
        assert (abs(gain) > 1e-3) == bool(sample.image.any())


def test_batches_change_rounding_only(vlm):
    samples, terms = encode_all(vlm), chain(vlm.model)
    together = extract_gains(vlm.model, vlm.collate(samples))
    for i, sample in enumerate(samples):
        alone = extract_gains(vlm.model, vlm.collate([sample]))
        assert_close_vectors(together["gains"][i], alone["gains"][0], terms=terms, stored="float32")
        assert_close_vectors(
            together["question"][i], alone["question"][0], terms=terms, stored="float16"
        )


def test_the_faster_attention_gives_the_same(vlm):
    batch, terms = vlm.collate(encode_all(vlm)), chain(vlm.model)
    eager = extract_gains(vlm.model, batch)
    vlm.model.set_attn_implementation("sdpa")
    faster = extract_gains(vlm.model, batch)
    vlm.model.set_attn_implementation("eager")
    assert_close_vectors(faster["gains"], eager["gains"], terms=terms, stored="float32")
    assert_close_vectors(faster["question"], eager["question"], terms=terms, stored="float16")


def test_the_loss_is_the_likelihood_of_the_other_pass(vlm):
    batch = vlm.collate(encode_all(vlm))
    layers = range(len(vlm.language_layers))
    other = extract_features(
        vlm.model, vlm.language_layers, batch, layers=layers, variant="released"
    )
    got = extract_gains(vlm.model, batch)
    np.testing.assert_array_equal(got["gains"][:, 0], other["likelihood"][:, 0])
    assert COLUMNS == ("loss", "visual_gain")


def calls_of(vlm, samples):
    """Return how many samples each pass had, and the positions and masks it was called with."""
    calls = []

    def keep(module, args, kwargs):
        calls.append((kwargs["attention_mask"].clone(), kwargs.get("pixel_values")))

    hook = vlm.model.register_forward_pre_hook(keep, with_kwargs=True)
    with recorded_positions(vlm.model) as positions:
        extract_gains(vlm.model, vlm.collate(samples))
    hook.remove()
    return calls, positions


def test_the_second_pass_keeps_positions_and_is_for_samples_with_an_image(vlm):
    samples = encode_all(vlm)
    (_, (mask, pixels)), (first, second) = calls_of(vlm, samples)
    seen = [i for i, sample in enumerate(samples) if sample.image.any()]
    assert len(mask) == len(seen) < len(samples) and pixels is None
    for row, i in enumerate(seen):
        length = len(samples[i])
        assert int(mask[row].sum()) == length - samples[i].image.sum()
    assert (first is None) == (second is None)
    if first is not None:
        assert torch.equal(second, first if first.shape[-2] == 1 else first[..., seen, :])
    texts = [sample for sample in samples if not sample.image.any()]
    calls, _ = calls_of(vlm, texts)
    assert len(calls) == 1
    assert not extract_gains(vlm.model, vlm.collate(texts))["gains"][:, 1].any()


def test_the_question_is_the_first_turn_and_no_image():
    """What is said later and what is seen change nothing."""
    processor, model = FAMILIES["llava"](TEXTS, 4, 32)
    vlm = make_vlm(model, processor, "llava")
    first = ("<image>\nwhat is in the image?", "a red digit.")

    def question(picture, *texts):
        roles = ("user", "assistant") * len(texts)
        turns = tuple(Turn(role, text) for role, text in zip(roles, texts, strict=False))
        sample = vlm.encode(Record("it", "x", ("0",), turns), [PICTURES[picture]])
        return extract_gains(vlm.model, vlm.collate([sample]))["question"][0]

    usual = question(0, *first)
    longer = question(1, *first, "and then?", "blue")
    assert_close_vectors(longer, usual, terms=chain(model), stored="float16")
    other = question(0, "<image>\nwhat is in that image?", "a red digit.")
    assert np.abs(other.astype(float) - usual.astype(float)).max() > 0.01


def test_layers_without_attention_do_not_see_the_image_either():
    """Linear attention mixes tokens in order; what an image token holds must not pass."""
    torch.manual_seed(0)
    processor, model = qwen3_5(TEXTS, 8, 32)
    vlm = make_vlm(model, processor, "qwen3.5")
    batch = vlm.collate(encode_all(vlm))
    before = extract_gains(vlm.model, batch)["gains"].sum(axis=1)
    weight = model.get_input_embeddings().weight
    with torch.no_grad():
        weight[model.config.image_token_id] += 10  # what stands there in the second pass
    after = extract_gains(vlm.model, batch)["gains"].sum(axis=1)
    assert_close_sums(after, before, terms=chain(model), stored="float32")


def test_a_sample_without_response_is_named():
    processor, model = FAMILIES["llava"](TEXTS, 2, 32)
    vlm = make_vlm(model, processor, "llava")
    batch = vlm.collate(encode_all(vlm))
    batch.response[2] = False
    with pytest.raises(ValueError, match="'turns' has no response tokens"):
        extract_gains(model, batch)
