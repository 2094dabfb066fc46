"""Bridging and neurons against single samples, read from the model's own outputs by loops."""

import math

import numpy as np
import pytest
import torch
from closeness import assert_close_sums, chain
from masked_images import encode_all
from model_families import FAMILIES, TEXTS, open_family, save_family
from usual_models import make_vlm

from vlselect.core.errors import InputError
from vlselect.features.signatures import bridging, extract_signatures, signature_layers

pytestmark = pytest.mark.numeric

LAYERS = [1, 3]


@pytest.fixture(scope="module", params=["llava", "qwen2_5_vl", "smolvlm", "gemma3"])
def vlm(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("family") / request.param
    return open_family(save_family(request.param, folder, TEXTS), attention="eager")


def pictured(vlm):
    return [sample for sample in encode_all(vlm) if sample.image.any()]


@torch.no_grad()
def slow_signature(vlm, sample):
    """Return bridging, and each layer's mean inner activations, of one unpadded sample."""
    inner, hooks = {}, []
    for number in LAYERS:

        def keep(module, args, number=number):
            inner[number] = args[0][0].double()

        mlp = vlm.language_layers[number].mlp
        hooks.append(mlp.down_proj.register_forward_pre_hook(keep))
    output = vlm.model(**vlm.collate([sample]).inputs, output_attentions=True)
    for hook in hooks:
        hook.remove()
    seen, said = np.flatnonzero(sample.image), np.flatnonzero(sample.response)
    terms = []
    for number in LAYERS:
        weights = output.attentions[number][0].double().mean(dim=0)
        for t in said:
            mass = sum(float(weights[t, v]) for v in seen)
            shares = [float(weights[t, v]) / mass for v in seen]
            entropy = -sum(p * math.log(p) for p in shares if p > 0)
            terms.append(mass * (1 - entropy / math.log(len(seen))))
    means = [inner[n][said].mean(dim=0).numpy() for n in LAYERS]
    return sum(terms) / len(terms), means


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_agrees_with_single_samples(vlm, side):
    samples = pictured(vlm)
    batch = vlm.collate(samples, padding_side=side)
    got = extract_signatures(vlm.model, vlm.language_layers, batch, layers=LAYERS)
    assert got["bridging"].shape == (len(samples), 1) and got["neurons"].dtype == np.float32
    neurons = got["neurons"].reshape(len(samples), len(LAYERS), 64)
    for i, sample in enumerate(samples):
        expected, means = slow_signature(vlm, sample)
        terms = chain(vlm.model)
        assert_close_sums(got["bridging"][i, 0], expected, terms=terms, scale=1)
        assert 0 < expected < 1
        for own, mean in zip(neurons[i].astype(int), means, strict=True):
            assert sorted(own) == list(range(64))  # all neurons of a small model
            assert (np.diff(mean[own]) <= 1e-5 * np.abs(mean).max()).all()


def test_later_layers_do_not_run(vlm):
    ran = []
    hooks = [
        layer.register_forward_hook(lambda *_, i=i: ran.append(i))
        for i, layer in enumerate(vlm.language_layers)
    ]
    batch = vlm.collate(pictured(vlm))
    extract_signatures(vlm.model, vlm.language_layers, batch, layers=[0, 1])
    for hook in hooks:
        hook.remove()
    assert ran == [0]  # the last one ends inside


def test_bridging_of_even_peaked_and_no_attention():
    even, peaked = torch.full((2, 4), 0.2), torch.tensor([[0.5, 0, 0, 0]])
    assert bridging(even) == pytest.approx(0, abs=1e-7)
    assert bridging(peaked) == pytest.approx(0.5)
    assert bridging(torch.zeros(1, 4)) == 0
    assert bridging(torch.tensor([[0.3]])) == pytest.approx(0.3)
    both = torch.cat([even, peaked])
    assert bridging(both) == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(
    ("n_layers", "expected"),
    [
        *((24, [8, 12, 16, 20]), (32, [10, 16, 21, 26]), (6, [2, 3, 4, 5]), (5, [1, 2, 3, 4])),
        *((4, [0, 1, 2, 3]), (2, [0, 1])),
    ],
)
def test_layers_are_at_the_published_depths_and_distinct(n_layers, expected):
    assert signature_layers(n_layers, None) == expected


def test_other_layers():
    assert signature_layers(4, [3, 0]) == [0, 3]
    with pytest.raises(InputError, match="distinct layers of 0 to 3"):
        signature_layers(4, [4])
    for n_layers in range(4, 100):
        layers = signature_layers(n_layers, None)
        assert len(set(layers)) == 4 and layers[0] >= 0 and layers[-1] < n_layers


def test_a_faster_attention_and_samples_without_an_image_are_refused():
    processor, model = FAMILIES["llava"](TEXTS, 4, 32)
    vlm = make_vlm(model, processor, "llava")
    model.set_attn_implementation("sdpa")
    batch = vlm.collate(pictured(vlm))
    with pytest.raises(RuntimeError, match="--attention eager"):
        extract_signatures(model, vlm.language_layers, batch, layers=LAYERS)
    with pytest.raises(InputError, match="'text' has no image tokens"):
        mixed = vlm.collate(encode_all(vlm))
        extract_signatures(model, vlm.language_layers, mixed, layers=LAYERS)
