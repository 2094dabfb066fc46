"""One vector for each sample: its last hidden states, averaged with weights that grow by position.

References
----------
.. [1] Ivison et al., Large-Scale Data Selection for Instruction Tuning (RDS+), arXiv:2503.01807.
"""

import torch
from torch import nn

from vlselect.features.forward_pass import require_tokens
from vlselect.features.likelihood import ResponseHead
from vlselect.models.vlm import Batch

POSITIONS = ("all", "response", "prompt")


def position_weighted_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average token vectors (B, T, d) under a bool mask (B, T): float32 (B, d).

    The first token of the mask has weight 1, the next one 2, and so on: a decoder's later states
    have seen more of the sample. Vectors outside the mask may be NaN.
    """
    weights = mask.cumsum(dim=1) * mask  # (B, T)
    values = torch.where(mask.unsqueeze(-1), hidden.float(), 0.0)
    sums = torch.einsum("bt,btd->bd", weights.float(), values)
    return sums / weights.sum(dim=1, keepdim=True)


@torch.inference_mode()
def hidden_and_losses(
    model: nn.Module, batch: Batch, *, positions: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run one forward pass over a batch; return a vector and the loss of each sample.

    Parameters
    ----------
    model : PreTrainedModel
        Image-text-to-text model in evaluation mode.
    batch : Batch
    positions : {"all", "response", "prompt"}
        Tokens whose hidden states, after the final norm, are averaged: the whole sequence without
        padding, as in the paper; the responses; or the last token before each response, whose
        state says what is asked and not what was answered.

    Returns
    -------
    vectors : float32 Tensor (B, d)
        Of unit length.
    losses : float32 Tensor (B,)
        Means over each sample's response tokens, in nats.

    Raises
    ------
    ValueError
        If a sample has no response token, or none before it; names the sample.
    """
    require_tokens(batch.response[:, 1:], "response", batch.sample_ids)
    before = ~batch.response & nn.functional.pad(batch.response[:, 1:], (0, 1))
    masks = {"all": batch.inputs["attention_mask"].bool(), "response": batch.response}
    mask = (masks | {"prompt": before})[positions]
    require_tokens(mask, positions, batch.sample_ids)
    with ResponseHead(model, batch.response) as head:
        output = model(**batch.inputs, use_cache=False)
    mask = mask.to(head.hidden.device)
    vectors = nn.functional.normalize(position_weighted_mean(head.hidden, mask), dim=1, eps=0)
    return vectors, head.mean_losses(output.logits, batch)
