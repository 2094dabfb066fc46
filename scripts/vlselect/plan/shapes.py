"""The sizes of a model, counted on its architecture without weights."""

from collections.abc import Iterable

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from vlselect.plan.arithmetic import Shape

MULTIPLIED = (nn.Linear, nn.Conv2d, nn.Conv3d)  # a patch embedding is a convolution


def read_shape(path: str, revision: str | None) -> Shape:
    """Count the sizes of a local or cached model; OSError if its config is not here."""
    config = AutoConfig.from_pretrained(path, revision=revision or "main")
    with torch.device("meta"):
        return shape_of(AutoModelForImageTextToText.from_config(config))


def shape_of(model: nn.Module) -> Shape:
    """Count a vision-language model's sizes."""
    head, decoder = model.get_output_embeddings(), model.get_decoder()
    language = [m for m in decoder.modules() if isinstance(m, nn.Linear) and m is not head]
    inside = {id(module) for module in [*decoder.modules(), head]}
    rest = [m for m in model.modules() if isinstance(m, MULTIPLIED) and id(m) not in inside]
    text, vision = model.config.get_text_config(), model.config.vision_config
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Shape(
        weights=sum(p.numel() for p in model.parameters()),
        language=_weights(language),
        head=head.weight.numel(),
        vision=_weights(rest),
        layers=text.num_hidden_layers,
        attention=text.num_attention_heads * size,
        hidden=text.hidden_size,
        vision_layers=getattr(vision, "num_hidden_layers", None) or vision.depth,
        vision_attention=vision.hidden_size,
        lora=sum(m.in_features + m.out_features for m in language),
    )


def _weights(modules: Iterable[nn.Module]) -> int:
    return sum(module.weight.numel() for module in modules)
