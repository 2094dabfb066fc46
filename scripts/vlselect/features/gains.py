"""How much an image helps a model to predict the response: loss without it, less the loss with it.

The pass without the image keeps the tokens and their positions: image tokens are only masked from
attention, so that nothing but what they hold is missing.

References
----------
.. [1] Dong et al., VisNec, arXiv:2603.01195.
.. [2] Hong et al., DICS, arXiv:2608.30209.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from vlselect.features.forward_pass import require_tokens, to_finite
from vlselect.features.likelihood import ResponseHead, token_losses
from vlselect.models.collation import SEQUENCES
from vlselect.models.vlm import Batch

COLUMNS = ("loss", "visual_gain")
KINDS = {"gains": np.float32, "question": np.float16}


@contextmanager
def recorded_positions(model: nn.Module) -> Iterator[list[Tensor | None]]:
    """Collect, while entered, the position ids with which the language model is called.

    None where it counts them itself, from 0 and whatever the attention mask. Models with positions
    in several dimensions compute them from the mask and the images' sizes.
    """
    positions: list[Tensor | None] = []

    def keep(module: nn.Module, args: tuple, kwargs: dict) -> None:
        positions.append(kwargs.get("position_ids"))

    handle = model.get_decoder().register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield positions
    finally:
        handle.remove()


def without_image(batch: Batch, rows: Sequence[int], positions: Tensor | None) -> dict[str, Tensor]:
    """Return a model's inputs for some rows of a batch, their image tokens masked from attention.

    Since no token sees them, pixels are left out, and the vision tower has nothing to do.

    Parameters
    ----------
    batch : Batch
    rows : sequence of int
    positions : Tensor (…, B or 1, T), optional
        Position ids of the pass with the image.
    """
    inputs = {name: batch.inputs[name][rows] for name in SEQUENCES & batch.inputs.keys()}
    inputs["attention_mask"] = inputs["attention_mask"].masked_fill(batch.image[rows], 0)
    if positions is not None:
        shared = positions.shape[-2] == 1
        inputs["position_ids"] = positions if shared else positions[..., rows, :]
    return inputs


def run_pass(
    model: nn.Module, inputs: Mapping[str, Tensor], response: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a forward pass over B samples whose response tokens `response` (B, T) marks.

    Returns
    -------
    losses : float64 Tensor (B, T - 1)
        -log p in nats at the place before each response token, 0 elsewhere.
    states : Tensor (B, d)
        Hidden state, after the final norm, of the last token before the first response token.
    """
    with ResponseHead(model, response) as head:
        output = model(**inputs, use_cache=False)
    targets = inputs["input_ids"][:, 1:][head.predicted]
    logits = head.logits(output.logits)
    losses = torch.zeros(head.predicted.shape, dtype=torch.float64, device=logits.device)
    losses[head.predicted.to(logits.device)] = token_losses(logits, targets.to(logits.device))
    first = head.predicted.int().argmax(dim=1).to(head.hidden.device)
    return losses, head.hidden[torch.arange(len(first), device=first.device), first]


@torch.inference_mode()
def extract_gains(
    model: nn.Module, batch: Batch, *, faults: dict[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Compute the losses of a batch's responses with and without the images.

    Parameters
    ----------
    model : PreTrainedModel
        Image-text-to-text model in evaluation mode.
    batch : Batch
    faults : dict, optional
        Takes up, by sample id, what cannot be stored; see `half.to_stored`.

    Returns
    -------
    dict of ndarray
        ``gains`` float32 (B, 2): mean loss over the response tokens with the image, and what it is
        more without, in nats; the gain of a text-only sample, which has one pass only, is 0.
        ``question`` float16 (B, d): the hidden state before the first response, without the image:
        of the first human turn and what the chat template puts around it, and nothing else.

    Raises
    ------
    ValueError
        If a sample has no response token or, without `faults`, its values are not finite; names
        the sample.
    """
    require_tokens(batch.response[:, 1:], "response", batch.sample_ids)
    with recorded_positions(model) as positions:
        losses, states = run_pass(model, batch.inputs, batch.response)
    counts = batch.response[:, 1:].sum(dim=1).to(losses.device)
    loss = losses.sum(dim=1) / counts
    gain = torch.zeros_like(loss)
    rows = torch.nonzero(batch.image.any(dim=1)).flatten().tolist()
    if rows:
        inputs = without_image(batch, rows, positions[0])
        blind, states[rows] = run_pass(model, inputs, batch.response[rows])
        gain[rows] = blind.sum(dim=1) / counts[rows] - loss[rows]
    values = {"gains": torch.stack([loss, gain], dim=1), "question": states}
    return {
        kind: to_finite(values[kind], dtype, kind, batch.sample_ids, faults)
        for kind, dtype in KINDS.items()
    }
