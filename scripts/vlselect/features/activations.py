"""Concept-skill activations: pooled self-attention outputs of a few layers, one vector per sample.

Hooks on the chosen layers reduce each attention output immediately to one mean per sample and
modality, so a forward pass never keeps the full outputs of several layers. Equations are those of
COINCIDE, arXiv 2406.10995.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vlselect.core.errors import InputError
from vlselect.models.layers import (
    Recorder,
    attention_module,
    first_tensor,
    hidden_argument,
    require_attention,
)

VARIANTS = ("released", "paper")
VISUAL, TEXT = 0, 1


def masked_mean(values: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Average token vectors (B, T, d) under S bool masks per sample (B, S, T): float32 (B, S, d).

    The mean under an empty mask is zero; vectors outside every mask may be NaN.
    """
    used = masks.any(dim=1).unsqueeze(-1)  # (B, T, 1)
    values = torch.where(used, values.float(), 0.0)
    sums = torch.einsum("bst,btd->bsd", masks.float(), values)
    return sums / masks.sum(dim=-1, keepdim=True).clamp(min=1)


def pool_attention(
    attention: torch.Tensor, residual: torch.Tensor | None, masks: torch.Tensor, variant: str
) -> torch.Tensor:
    """Pool one layer's attention output per modality, before normalisation (equations 1 and 2).

    Parameters
    ----------
    attention : Tensor (B, T, d)
        MSA(LN(x)), after the output projection, without the residual.
    residual : Tensor (B, T, d) or None
        x, the layer's input; used by `paper` only.
    masks : bool Tensor (B, 2, T)
        Visual tokens, text tokens.
    variant : {"released", "paper"}
        ``tanh(mean(MSA))`` as in the authors' code, or ``mean(tanh(MSA + x))`` as in eq. 2.

    Returns
    -------
    float32 Tensor (B, 2, d)
    """
    if variant == "released":
        return torch.tanh(masked_mean(attention, masks))
    if variant == "paper":
        return masked_mean(torch.tanh(attention.float() + residual.float()), masks)
    raise InputError(f"variant {variant!r} is not one of {list(VARIANTS)}")


def join_layers(pooled: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Normalise each layer's and modality's vector and join them into unit vectors (equation 3).

    Parameters
    ----------
    pooled : Tensor (B, M, 2, d)
        Pooled activations of M layers; visual, then text.
    present : bool Tensor (B, 2)
        Whether the sample has tokens of that modality. The half of an absent one is zero, and the
        rest is scaled to unit length.

    Returns
    -------
    float32 Tensor (B, 2·M·d)
        For each layer in turn, the visual and the text vector. NaN if a present vector is all
        zero, since it has no direction.
    """
    n_layers = pooled.shape[1]
    units = pooled / pooled.norm(dim=-1, keepdim=True)
    units = torch.where(present[:, None, :, None], units, 0.0)
    parts = n_layers * present.sum(dim=1)  # unit vectors joined: 2M, or M without an image
    return units.flatten(1) / parts.sqrt()[:, None]


class ActivationRecorder(Recorder):
    """Pool, while entered, the self-attention outputs of some decoder layers in a forward pass.

    `chosen` counts `decoder_layers` from 0; `masks` and `variant` are those of `pool_attention`.
    """

    def __init__(
        self,
        decoder_layers: nn.ModuleList,
        chosen: Sequence[int],
        masks: torch.Tensor,
        variant: str,
    ):
        if variant not in VARIANTS:
            raise InputError(f"variant {variant!r} is not one of {list(VARIANTS)}")
        require_attention(decoder_layers, chosen, key="features.layers", first=0)
        self._layers = {index: decoder_layers[index] for index in chosen}
        self._masks, self._variant = masks, variant
        self._residuals: dict[int, torch.Tensor] = {}
        self._pooled: dict[int, torch.Tensor] = {}

    def _hook(self) -> list[RemovableHandle]:
        handles = []
        for index, layer in self._layers.items():
            if self._variant == "paper":
                keep = self._residual_hook(index)
                handles.append(layer.register_forward_pre_hook(keep, with_kwargs=True))
            pool = self._attention_hook(index)
            handles.append(attention_module(layer).register_forward_hook(pool))
        return handles

    def vectors(self) -> torch.Tensor:
        """Return the joined unit vectors of the recorded pass, float32 (B, 2·M·d)."""
        missing = [index for index in self._layers if index not in self._pooled]
        if missing:
            raise RuntimeError(f"the forward pass did not reach the attention of layers {missing}")
        device = next(iter(self._pooled.values())).device
        pooled = torch.stack([self._pooled[i].to(device) for i in self._layers], dim=1)
        return join_layers(pooled, self._masks.any(dim=-1).to(device))

    def _residual_hook(self, index: int):
        def keep(module, args, kwargs):
            self._residuals[index] = hidden_argument(args, kwargs)

        return keep

    def _attention_hook(self, index: int):
        def pool(module, args, output):
            attention = first_tensor(output)
            residual = self._residuals.pop(index, None)
            masks = self._masks.to(attention.device)
            self._pooled[index] = pool_attention(attention, residual, masks, self._variant)

        return pool
