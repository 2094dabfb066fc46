"""How far a response's tokens look at the image, and which neurons it drives most.

Both are read in a few decoder layers of one forward pass, which ends after the last of them.

References
----------
.. [1] Das Biswas and Roy, MAGIC, arXiv:2605.26004.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlselect.features.forward_pass import require_tokens, to_finite
from vlselect.models.layers import (
    ForwardStopped,
    Recorder,
    attention_module,
    attention_weights,
    choose_layers,
    outward_projection,
    require_attention,
)
from vlselect.models.vlm import Batch

KINDS = {"bridging": np.float32, "neurons": np.float32}
DEPTHS = ((1, 3), (1, 2), (2, 3), (5, 6))  # 8, 12, 16 and 20 of 24 layers, as published
STORED = 64  # neurons of each layer, the strongest first


def signature_layers(n_layers: int, wanted: Sequence[int] | None) -> list[int]:
    """Return the decoder layers that are read, ascending, counted from 0.

    By default those at `DEPTHS`, moved down where two would be the same, or all layers of a model
    with four or fewer. InputError if a wanted layer does not exist or is repeated.
    """
    if wanted is not None or n_layers <= len(DEPTHS):
        return choose_layers(n_layers, wanted)
    layers: list[int] = []
    for part, whole in reversed(DEPTHS):
        layer = n_layers * part // whole
        layers.append(min(layer, layers[-1] - 1) if layers else layer)
    return layers[::-1]


def bridging(attention: Tensor) -> float:
    """Compute how much, and how selectively, response tokens attend to the image.

    Parameters
    ----------
    attention : Tensor (A, V)
        From A response tokens to V visual tokens, averaged over heads.

    Returns
    -------
    float
        Mean over the response tokens of mass · (1 - H / log V): the attention to all visual tokens,
        and the entropy of its shares. In [0, 1]; with one visual token the mass.
    """
    attention = attention.double()
    mass = attention.sum(dim=1)
    shares = attention / mass.clamp_min(torch.finfo(torch.float64).tiny)[:, None]
    entropy = torch.special.entr(shares).sum(dim=1)
    most = np.log(attention.shape[1]) if attention.shape[1] > 1 else 1.0
    return float((mass * (1 - entropy / most)).mean())


class SignatureRecorder(Recorder):
    """Record, while entered, bridging and neurons of a batch in some layers, and end the pass.

    Parameters
    ----------
    decoder_layers : sequence of Module
    layers : sequence of int
        Those that are read, ascending, counted from 0.
    answer, image : bool Tensor (B, T)
        Response tokens and visual tokens, at least one of each in every sample.

    Attributes
    ----------
    bridging : list of list of float
        By layer and sample.
    neurons : list of int64 Tensor (B, K)
        By layer: the neurons with the largest mean activation over the response tokens.
    """

    def __init__(
        self, decoder_layers: Sequence[nn.Module], layers: Sequence[int], answer: Tensor,
        image: Tensor,
    ):  # fmt: skip
        self._read = [decoder_layers[layer] for layer in layers]
        self._answer, self._image = answer, image
        self.bridging: list[list[float]] = []
        self.neurons: list[Tensor] = []

    def _hook(self) -> list[RemovableHandle]:
        handles = []
        for layer in self._read:
            attended = attention_module(layer).register_forward_hook(self._keep_attention)
            driven = outward_projection(layer).register_forward_pre_hook(self._keep_neurons)
            handles += [attended, driven]
        return handles

    def _keep_attention(self, module: nn.Module, args: tuple, output) -> None:
        weights = attention_weights(module, output)
        answer, image = self._answer.to(weights.device), self._image.to(weights.device)
        self.bridging.append(
            [
                bridging(own[:, answer[b]][:, :, image[b]].float().mean(dim=0))
                for b, own in enumerate(weights)
            ]
        )

    def _keep_neurons(self, module: nn.Module, args: tuple) -> None:
        inner = args[0]  # (B, T, D)
        answer = self._answer.to(inner.device)
        means = torch.stack(
            [own[mask].float().mean(dim=0) for own, mask in zip(inner, answer, strict=True)]
        )
        order = means.sort(dim=1, descending=True, stable=True).indices
        self.neurons.append(order[:, :STORED])
        if len(self.neurons) == len(self._read):
            raise ForwardStopped


@torch.inference_mode()
def extract_signatures(
    model: nn.Module,
    decoder_layers: nn.ModuleList,
    batch: Batch,
    *,
    layers: Sequence[int],
    faults: dict[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Compute bridging and neurons of a batch of samples with images.

    Parameters
    ----------
    model : PreTrainedModel
        Image-text-to-text model in evaluation mode, loaded with eager attention.
    decoder_layers : ModuleList
    batch : Batch
    layers : sequence of int
        See `signature_layers`.
    faults : dict, optional
        Takes up, by sample id, what cannot be stored; see `half.to_stored`.

    Returns
    -------
    dict of ndarray
        ``bridging`` float32 (B, 1), mean over layers; ``neurons`` float32 (B, L · K), the numbers
        of the K = min(64, width) neurons of each layer, the strongest first.

    Raises
    ------
    ValueError
        If a sample has no response or image token, a layer has no attention or not one feed-forward
        network or, without `faults`, values are not finite.
    RuntimeError
        If the model returns no attention weights, or does not reach the layers.
    """
    answer = batch.response.clone()
    answer[:, 0] = False  # nothing predicts it
    require_tokens(answer, "response", batch.sample_ids)
    require_tokens(batch.image, "image", batch.sample_ids)
    require_attention(decoder_layers, layers, key="methods.magic.layers", first=0)
    with SignatureRecorder(decoder_layers, layers, answer, batch.image) as recorder:
        model(**batch.inputs, use_cache=False)
    if len(recorder.neurons) != len(layers):
        raise RuntimeError(f"the forward pass did not reach decoder layers {list(layers)}")
    values = {
        "bridging": torch.tensor(recorder.bridging, dtype=torch.float64).mean(dim=0)[:, None],
        "neurons": torch.cat([found.cpu() for found in recorder.neurons], dim=1),
    }
    return {
        kind: to_finite(values[kind], dtype, kind, batch.sample_ids, faults)
        for kind, dtype in KINDS.items()
    }
