"""One vector a sample: the gradient of its loss by the output layer, projected on both sides.

The gradient is the sum over predicted tokens of (softmax of the logits - one-hot) times the hidden
state, and is never formed: both factors are projected. One forward pass, no adapter, no warm-up.

References
----------
.. [1] LESSER, arXiv:2610.03702.
"""

import math

import torch
from torch import nn

from vlselect.features.forward_pass import require_tokens
from vlselect.features.likelihood import CHUNK, ResponseHead
from vlselect.gradients.splitmix import mix, random_bits
from vlselect.models.vlm import Batch

HIDDEN, TOKENS = 128, 64  # numbers that a hidden state, and an error over the tokens, become
BITS = 64  # of a random number


def random_signs(n: int, dim: int, seed: int, device: torch.device) -> torch.Tensor:
    """Return a matrix of ±1 / √dim, float32 (n, dim), or the identity where n is at most dim.

    Its rows come from a hash of seed and row: the same on every device.
    """
    if n <= dim:
        return torch.eye(n, device=device)
    words = math.ceil(dim / BITS)
    key = mix(torch.tensor(seed, device=device))
    bits = random_bits(key, torch.arange(n * words, device=device)).view(n, words, 1)
    found = (bits >> torch.arange(BITS, device=device)) & 1  # (n, words, 64)
    return (2.0 * found.view(n, -1)[:, :dim] - 1) / math.sqrt(dim)


class OutputProjection:
    """The two maps of a model's output layer, from its width d and its vocabulary V."""

    def __init__(self, model: nn.Module):
        weight = model.get_output_embeddings().weight
        vocabulary, width = weight.shape
        self.hidden = random_signs(width, HIDDEN, 0, weight.device)  # (d, min(d, 128))
        self.tokens = random_signs(vocabulary, TOKENS, 1, weight.device)  # (V, min(V, 64))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.hidden.shape[1] * self.tokens.shape[1]

    def describe(self) -> dict[str, object]:
        """Return what determines the maps."""
        return {"type": "output", "hidden": HIDDEN, "tokens": TOKENS}

    def errors(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Project softmax - one-hot of logits (P, V) and true tokens (P,): float32 (P, 64)."""
        parts = []
        for start in range(0, len(targets), CHUNK):  # no float32 copy of all logits
            chosen = targets[start : start + CHUNK]
            wrong = logits[start : start + CHUNK].float().softmax(dim=1)
            wrong[torch.arange(len(chosen), device=wrong.device), chosen] -= 1
            parts.append(wrong @ self.tokens)
        return torch.cat(parts)


@torch.inference_mode()
def gradients_and_losses(
    model: nn.Module, batch: Batch, projection: OutputProjection
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run one forward pass: unit vectors, float32 (B, projection.dim), and losses, float32 (B,).

    A loss is the mean over the sample's response tokens, in nats. A sample that is predicted
    without an error has zeros. ValueError, naming the sample, if one has no response token.
    """
    require_tokens(batch.response[:, 1:], "response", batch.sample_ids)
    with ResponseHead(model, batch.response) as head:
        output = model(**batch.inputs, use_cache=False)
    logits = head.logits(output.logits)  # (P, V)
    predicted = head.predicted.to(logits.device)
    targets = batch.labels[:, 1:].to(logits.device)[predicted]
    errors = projection.errors(logits, targets)  # (P, 64)
    states = head.hidden[:, :-1][predicted.to(head.hidden.device)].float() @ projection.hidden
    counts = predicted.sum(dim=1).tolist()
    products = [
        (own.T @ wrong).flatten()
        for own, wrong in zip(states.split(counts), errors.split(counts), strict=True)
    ]
    vectors = nn.functional.normalize(torch.stack(products), dim=1)
    return vectors, head.mean_losses(output.logits, batch)
