"""Choosing layers and finding attention modules."""

import pytest
import torch
from torch import nn

from vlselect.core.errors import InputError
from vlselect.models.layers import (
    attention_module,
    choose_layers,
    first_tensor,
    hidden_argument,
    outward_projection,
    require_attention,
)


@pytest.mark.parametrize(
    ("n_layers", "expected"),
    [
        (24, [3, 7, 11, 15, 19]),
        (12, [1, 3, 5, 7, 9]),
        (6, [0, 1, 2, 3, 4]),
        (5, [0, 1, 2, 3, 4]),
        (3, [0, 1, 2]),
        (1, [0]),
    ],
)
def test_layers_are_at_the_depths_of_the_reference(n_layers, expected):
    assert choose_layers(n_layers) == expected


def test_layers_are_distinct_and_near_their_depth_in_any_model():
    for n_layers in range(6, 130):
        layers = choose_layers(n_layers)
        assert layers == sorted(set(layers))
        assert layers[0] >= 0 and layers[-1] < n_layers
        for j, layer in enumerate(layers, start=1):
            assert abs((layer + 1) - n_layers * j / 6) <= 0.5


def test_explicit_layers_come_sorted():
    assert choose_layers(4, [2, 0]) == [0, 2]


@pytest.mark.parametrize("wanted", [[4], [-1], [1, 1], []])
def test_impossible_layers_are_errors(wanted):
    with pytest.raises(ValueError, match="distinct layers of 0 to 3"):
        choose_layers(4, wanted)


def test_model_without_layers_is_an_error():
    with pytest.raises(ValueError, match="no decoder layers"):
        choose_layers(0)


@pytest.mark.parametrize("name", ["self_attn", "self_attention", "attention", "attn"])
def test_attention_is_found_by_name(name):
    layer = nn.Module()
    layer.add_module("mlp", nn.Linear(2, 2))
    attention = nn.Linear(2, 2)
    layer.add_module(name, attention)
    assert attention_module(layer) is attention


def test_layer_without_attention_is_an_error_that_lists_its_children():
    layer = nn.Module()
    layer.add_module("mixer", nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"no self-attention module.*mixer"):
        attention_module(layer)


def test_hidden_states_are_found_in_calls_and_outputs():
    hidden = torch.ones(1, 2, 3)
    assert hidden_argument((hidden, None), {}) is hidden
    assert hidden_argument((), {"hidden_states": hidden}) is hidden
    assert first_tensor(hidden) is hidden
    assert first_tensor((hidden, None)) is hidden


def hybrid(*kinds):
    return nn.ModuleList(nn.ModuleDict({kind: nn.Linear(1, 1)}) for kind in kinds)


@pytest.mark.parametrize(
    ("first", "chosen", "shown"),
    [(0, [0, 2, 3], r"\[0, 2\].*\[1, 3\]"), (1, [1], r"\[1\].*\[2, 4\]")],
)
def test_layers_without_attention_name_the_key_and_those_that_have_it(first, chosen, shown):
    layers = hybrid("linear_attn", "self_attn", "linear_attn", "self_attn")
    with pytest.raises(InputError, match=shown) as caught:
        require_attention(layers, chosen, key="features.layers", first=first)
    assert "`features.layers`" in str(caught.value)
    require_attention(layers, [1 + first, 3 + first], key="features.layers", first=first)


@pytest.mark.parametrize("name", ["down_proj", "fc2", "dense_4h_to_h", "c_proj", "w2"])
def test_the_way_out_of_the_feed_forward_network_is_found_outside_attention(name):
    layer, mlp, attention = nn.Module(), nn.Module(), nn.Module()
    mlp.add_module("up", nn.Linear(2, 4))
    mlp.add_module(name, nn.Linear(4, 2))
    attention.add_module("c_proj", nn.Linear(2, 2))
    layer.add_module("attn", attention)
    layer.add_module("mlp", mlp)
    assert outward_projection(layer) is getattr(mlp, name)
    experts = nn.Module()
    experts.add_module(name, nn.Linear(4, 2))
    layer.add_module("more", experts)
    with pytest.raises(InputError, match="has 2 modules of"):
        outward_projection(layer)
