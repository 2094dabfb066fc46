"""Visual features that the instruction attends to, from one early decoder layer.

This is the instruction-conditioned early representation of ScalSelect, arXiv 2602.11636.

The forward pass ends at that layer.
"""

from collections.abc import Collection

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vlselect.core.errors import InputError
from vlselect.features.forward_pass import to_finite, token_width
from vlselect.models.layers import (
    ForwardStopped,
    Recorder,
    attention_module,
    attention_weights,
    first_tensor,
    require_attention,
)
from vlselect.models.vlm import Batch

UNATTENDED = "mean of all visual tokens"
INSTRUCTIONS = ("prompt", "question")


def instruction_rows(batch: Batch, instruction: str, special: Collection[int]) -> torch.Tensor:
    """Mark the tokens (B, T) of each sample whose attention to the image is read.

    Parameters
    ----------
    batch : Batch
    instruction : {"prompt", "question"}
        `prompt`, as in the paper and its authors' code: every token that belongs to neither an
        image nor a response, in any turn, including those of the template and the special token
        that closes a response. `question`: the user's words only.
    special : collection of int
        Ids of the tokenizer's special tokens, see `vlm.VLM`.
    """
    if instruction not in INSTRUCTIONS:
        raise InputError(f"instruction {instruction!r} is not one of {INSTRUCTIONS}")
    if instruction == "question":
        return batch.instruction
    ids = batch.inputs["input_ids"]
    closing = torch.isin(ids, torch.tensor(sorted(special), device=ids.device))
    real = batch.inputs["attention_mask"].bool()
    return real & ~batch.image & (~batch.response | closing)


def attended_tokens(attention: torch.Tensor, mass: float) -> torch.Tensor:
    """Choose the fewest most attended tokens that together exceed a share of the attention.

    Parameters
    ----------
    attention : Tensor (V,)
        Attention to each visual token, nonnegative; normalised here.
    mass : float
        Share in (0, 1]. Tokens are taken by descending attention (ties: earlier first), as many
        as have a cumulative share of at most `mass`, and one more.

    Returns
    -------
    int64 Tensor (K,)
        Indices in ascending order, 1 ≤ K ≤ V. All tokens if none gets any attention, as under a
        causal mask when the image comes after the whole instruction (`UNATTENDED`).
    """
    attention = attention.double().cpu()
    total = attention.sum()
    if total == 0:
        return torch.arange(len(attention))
    ranked, order = torch.sort(attention / total, descending=True, stable=True)
    count = int((ranked.cumsum(dim=0) <= mass).sum()) + 1
    return order[:count].sort().values


def instruction_attention(
    weights: torch.Tensor, instruction: torch.Tensor, image: torch.Tensor
) -> torch.Tensor:
    """Average one sample's attention to each visual token over heads and instruction tokens.

    `weights` (H, T, T) attend from rows to columns; `instruction` and `image` (T,) choose them.
    Returns float32 (V,), not normalised; zeros if there is no instruction token.
    """
    if not instruction.any():
        return weights.new_zeros(int(image.sum()), dtype=torch.float32)
    return weights[:, instruction][:, :, image].float().mean(dim=(0, 1))


class AttendedRecorder(Recorder):
    """Record, while entered, attended features at one decoder layer, and end the pass there.

    Parameters as for `extract_attended`; the masks `instruction` and `image` are (B, T).

    Attributes
    ----------
    features : list of float32 Tensor (d,)
        One per sample; zeros for a sample without visual tokens.
    unattended : list of int
        Samples of the batch that have an image, but no instruction token that attends to it.
    """

    def __init__(
        self, layer: nn.Module, instruction: torch.Tensor, image: torch.Tensor, mass: float
    ):
        self._layer, self._mass = layer, mass
        self._instruction, self._image = instruction, image
        self._attention: list[torch.Tensor] = []
        self.features: list[torch.Tensor] = []
        self.unattended: list[int] = []

    def _hook(self) -> list[RemovableHandle]:
        attention = attention_module(self._layer)
        return [
            attention.register_forward_hook(self._keep_attention),
            self._layer.register_forward_hook(self._finish),
        ]

    def _keep_attention(self, module: nn.Module, args: tuple, output) -> None:
        weights = attention_weights(module, output)
        instruction, image = self._instruction.to(weights.device), self._image.to(weights.device)
        # Reduced here: keeping the weights, (B, H, T, T), until the layer ends would cost memory.
        self._attention = [
            instruction_attention(weights[b], instruction[b], image[b]) for b in range(len(weights))
        ]

    def _finish(self, module: nn.Module, args: tuple, output) -> None:
        hidden = first_tensor(output)
        image = self._image.to(hidden.device)
        for b, attention in enumerate(self._attention):
            visual = hidden[b, image[b]]  # (V, d)
            if len(visual) == 0:
                self.features.append(hidden.new_zeros(hidden.shape[-1], dtype=torch.float32))
                continue
            if attention.sum() == 0:
                self.unattended.append(b)
            kept = attended_tokens(attention, self._mass).to(hidden.device)
            self.features.append(visual[kept].float().mean(dim=0))
        raise ForwardStopped


@torch.inference_mode()
def extract_attended(
    model: nn.Module,
    decoder_layers: nn.ModuleList,
    batch: Batch,
    rows: torch.Tensor,
    *,
    layer: int,
    mass: float,
    faults: dict[str, str] | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Average, after an early layer, the visual tokens that the instruction attends to.

    Parameters
    ----------
    model : PreTrainedModel
        Image-text-to-text model in evaluation mode, loaded with eager attention.
    decoder_layers : ModuleList
    batch : Batch
    rows : bool Tensor (B, T)
        Tokens of the instruction, see `instruction_rows`.
    layer : int
        Decoder layer, counted from 1: layer 1 is ``decoder_layers[0]``. Later layers do not run.
    mass : float
        Share of the attention, see `attended_tokens`.
    faults : dict, optional
        Takes up, by sample id, what cannot be stored; see `half.to_stored`.

    Returns
    -------
    features : float16 ndarray (B, d)
        Zeros for samples without visual tokens; if the batch has no images, no pass is run.
    unattended : list of str
        Ids of samples with an image but no instruction token that attends to it: `UNATTENDED`.

    Raises
    ------
    ValueError
        If the layer does not exist.
    RuntimeError
        If the model returns no attention weights.
    """
    if not 1 <= layer <= len(decoder_layers):
        raise InputError(f"layer {layer} is not one of 1 to {len(decoder_layers)}")
    require_attention(decoder_layers, [layer], key="features.attention.layer", first=1)
    if not batch.image.any():
        return np.zeros((len(batch), token_width(model)), np.float16), []
    with AttendedRecorder(decoder_layers[layer - 1], rows, batch.image, mass) as recorder:
        model(**batch.inputs, use_cache=False)
    if len(recorder.features) != len(batch):
        raise RuntimeError(f"the forward pass did not reach decoder layer {layer}")
    stacked = torch.stack(recorder.features)
    features = to_finite(stacked, np.float16, "attended", batch.sample_ids, faults)
    return features, [batch.sample_ids[b] for b in recorder.unattended]
