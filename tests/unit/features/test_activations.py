"""Pooled activations against the formulas, computed sample by sample and layer by layer."""

import pytest
import torch
from closeness import assert_close_vectors
from torch import nn

from vlselect.features.activations import (
    ActivationRecorder,
    join_layers,
    masked_mean,
    pool_attention,
)

pytestmark = pytest.mark.numeric


def slow_vector(attentions, residuals, image, text, variant):
    """Compute one sample's vector from equations 1 to 3; attentions: per layer (T, d)."""
    parts = []
    for attention, residual in zip(attentions, residuals, strict=True):
        for mask in (image, text):
            rows = [t for t in range(len(mask)) if mask[t]]
            if not rows:
                parts.append(torch.zeros(attention.shape[1], dtype=torch.float64))
                continue
            if variant == "paper":
                u = sum(torch.tanh(attention[t] + residual[t]) for t in rows) / len(rows)
            else:
                u = torch.tanh(sum(attention[t] for t in rows) / len(rows))
            parts.append(u / u.norm())
    vector = torch.cat(parts)
    return vector / vector.norm()


def make_case(seed=0, n_layers=3, n=4, length=7, width=5):
    generator = torch.Generator().manual_seed(seed)
    attention = torch.randn(n_layers, n, length, width, generator=generator)
    residual = torch.randn(n_layers, n, length, width, generator=generator)
    kinds = torch.randint(0, 3, (n, length), generator=generator)  # other, image, text
    kinds[:, 0], kinds[:, 1] = 1, 2
    kinds[2][kinds[2] == 1] = 0  # the third sample has only text
    return attention, residual, torch.stack([kinds == 1, kinds == 2], dim=1)


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_vectors_agree_with_the_formulas(variant):
    attention, residual, masks = make_case()
    pooled = [
        pool_attention(a, x, masks, variant) for a, x in zip(attention, residual, strict=True)
    ]
    got = join_layers(torch.stack(pooled, dim=1), masks.any(dim=-1))
    for i in range(len(got)):
        expected = slow_vector(
            attention[:, i].double(), residual[:, i].double(), *masks[i], variant
        )
        assert_close_vectors(got[i], expected, terms=7 + len(expected))


def test_vectors_have_unit_length_and_text_only_samples_no_visual_half():
    attention, _, masks = make_case()
    pooled = torch.stack([pool_attention(a, None, masks, "released") for a in attention], dim=1)
    vectors = join_layers(pooled, masks.any(dim=-1))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    halves = vectors.unflatten(1, (3, 2, 5))  # layer, modality, width
    assert (halves[2, :, 0] == 0).all()
    torch.testing.assert_close(halves[2, :, 1].norm(dim=-1), torch.full((3,), 3**-0.5))
    torch.testing.assert_close(halves[0].norm(dim=-1), torch.full((3, 2), 6**-0.5))


def test_padding_has_no_effect():
    values = torch.randn(1, 4, 3)
    masks = torch.tensor([[[True, False, False, False], [False, True, True, False]]])
    spoilt = values.clone()
    spoilt[:, 3] = torch.nan
    torch.testing.assert_close(masked_mean(spoilt, masks), masked_mean(values, masks))


def test_mean_under_an_empty_mask_is_zero():
    assert (masked_mean(torch.ones(1, 2, 3), torch.zeros(1, 1, 2, dtype=torch.bool)) == 0).all()


def test_vector_without_direction_becomes_nan():
    vectors = join_layers(torch.zeros(1, 1, 2, 3), torch.tensor([[True, True]]))
    assert vectors.isnan().all()


@pytest.mark.parametrize("make", [pool_attention, ActivationRecorder])
def test_unknown_variant_is_an_error(make):
    with pytest.raises(ValueError, match="variant 'other'"):
        make(torch.ones(1, 1, 1), [], torch.ones(1, 2, 1, dtype=torch.bool), "other")


class Layer(nn.Module):
    """A decoder layer whose attention returns its input, so that the layer doubles it."""

    def __init__(self):
        super().__init__()
        self.attn = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.attn.weight)

    def forward(self, hidden_states):
        return (hidden_states + self.attn(hidden_states),)


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_recorder_sees_chosen_layers_and_leaves_no_hook(variant):
    layers = nn.ModuleList(Layer() for _ in range(3))
    masks = torch.tensor([[[True, False], [False, True]]])
    x = torch.tensor([[[0.1, 0.2], [0.3, -0.4]]])
    with torch.no_grad(), ActivationRecorder(layers, [0, 2], masks, variant) as recorder:
        hidden = x
        for layer in layers:
            hidden = layer(hidden_states=hidden)[0]
    inputs = torch.stack([x, 4 * x])[:, 0].double()  # each layer doubles its input
    expected = slow_vector(inputs, inputs, *masks[0], variant)
    assert_close_vectors(recorder.vectors()[0], expected, terms=2 + len(expected))
    for layer in layers:
        assert not layer._forward_pre_hooks and not layer.attn._forward_hooks


def test_layers_that_did_not_run_are_an_error():
    layers = nn.ModuleList([Layer(), Layer()])
    masks = torch.ones(1, 2, 2, dtype=torch.bool)
    with ActivationRecorder(layers, [0, 1], masks, "released") as recorder:
        layers[0](hidden_states=torch.ones(1, 2, 2))
    with pytest.raises(RuntimeError, match=r"layers \[1\]"):
        recorder.vectors()
