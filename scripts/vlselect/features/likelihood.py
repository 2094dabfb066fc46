"""How well a model predicts a response: likelihood, error norm and margin of its tokens.

These signals need the logits of response tokens only. `ResponseHead` ensures this inside an
ordinary forward pass: before the output layer, it keeps only the hidden states that predict a
response token. Whatever the model does to logits afterwards (scaling, capping) then applies to
these, for any architecture, and no logits of prompt tokens are ever computed.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.hooks import RemovableHandle

from vlselect.core.errors import InputError
from vlselect.models.layers import Recorder
from vlselect.models.vlm import Batch

SIGNALS = ("nll", "el2n", "margin")
CHUNK = 256


def token_signals(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute negative log-likelihood, error norm and margin of P predictions over V tokens.

    Everything is computed from x, the log-odds of all other tokens against the true one, so that
    no digits are lost when the model is nearly certain, and no one-hot copy is made.

    Parameters
    ----------
    logits : Tensor (P, V)
    targets : int64 Tensor (P,)
        True tokens.

    Returns
    -------
    float32 Tensor (P, 3)
        −log p(true) in nats; ‖softmax − onehot‖₂; p(true) − highest p of another token.

    References
    ----------
    EL2N: arXiv 2107.07075 (norm of the error vector). Margin: difficulty score of D2 pruning,
    arXiv 2310.07931, in the setting of COINCIDE, arXiv 2406.10995.
    """
    logits = logits.float()
    true = logits.gather(1, targets[:, None])  # (P, 1)
    others = logits.scatter(1, targets[:, None], -torch.inf)  # a copy: `logits` stay intact
    rest = others.logsumexp(dim=1, keepdim=True)
    total = torch.logaddexp(rest, true)
    log_odds = rest - true
    squares = (2 * (others - total)).exp().sum(dim=1, keepdim=True)
    nll = F.softplus(log_odds)
    el2n = (torch.sigmoid(log_odds).square() + squares).sqrt()
    best = others.amax(dim=1, keepdim=True)
    margin = (true - total).exp() - (best - total).exp()
    return torch.cat([nll, el2n, margin], dim=1)


def mean_signals(
    logits: torch.Tensor, targets: torch.Tensor, predicted: torch.Tensor
) -> torch.Tensor:
    """Average token signals over each sample's response, float32 (B, 3): nll, el2n, margin.

    `logits` (P, V) and `targets` (P,) belong to the response tokens of a batch, sample by sample,
    and `predicted` (B, T) is true at their positions. NaN for a sample without response tokens.
    """
    table = logits.new_zeros((*predicted.shape, len(SIGNALS)), dtype=torch.float64)
    table[predicted] = _in_chunks(logits, targets).double()
    counts = predicted.sum(dim=1, keepdim=True)
    return (table.sum(dim=1) / counts).float()


def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute -log p(true) in nats of P predictions, float64 (P,); see `token_signals`."""
    return _in_chunks(logits, targets)[:, SIGNALS.index("nll")].double()


def _in_chunks(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return `token_signals` without a float32 copy of all logits, the largest tensor."""
    parts = zip(logits.split(CHUNK), targets.split(CHUNK), strict=True)
    return torch.cat([token_signals(*part) for part in parts])


class ResponseHead(Recorder):
    """Restrict, while entered, the output layer to positions that predict a response token.

    Position 0 of `response` (B, T) has no predecessor and is ignored. `hidden` (B, T, d) is the
    input of the output layer: the hidden states after the final norm.

    Raises
    ------
    ValueError
        If the model has no output layer.
    RuntimeError
        If the output layer is not called exactly once, with a vector for every token.
    """

    def __init__(self, model: nn.Module, response: torch.Tensor):
        self._head = model.get_output_embeddings()
        if self._head is None:
            raise InputError(f"{type(model).__name__} has no output layer to read logits from")
        self.predicted = response[:, 1:]
        self._shape = response.shape
        self.hidden: torch.Tensor | None = None

    def _hook(self) -> list[RemovableHandle]:
        return [self._head.register_forward_pre_hook(self._narrow, with_kwargs=True)]

    def logits(self, output: torch.Tensor) -> torch.Tensor:
        """Check the model's output, (1, P, V), and drop its first axis."""
        count = int(self.predicted.sum())
        if self.hidden is None or output.shape[:2] != (1, count):
            raise RuntimeError(
                f"the model returned logits of shape {tuple(output.shape)} for {count} response "
                "tokens"
            )
        return output[0]

    def mean_losses(self, output: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Average the loss over each sample's response tokens: float32 (B,), in nats."""
        logits = self.logits(output)
        predicted = self.predicted.to(logits.device)
        targets = batch.labels[:, 1:].to(logits.device)[predicted]
        return mean_signals(logits, targets, predicted)[:, SIGNALS.index("nll")]

    def _narrow(self, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        hidden = args[0] if args else next(iter(kwargs.values()))
        if self.hidden is not None or hidden.shape[:2] != self._shape:
            raise RuntimeError(
                f"the output layer was called with shape {tuple(hidden.shape)}; expected one call "
                f"with (B, T) = {tuple(self._shape)}"
            )
        self.hidden = hidden
        chosen = hidden[:, :-1][self.predicted.to(hidden.device)]  # (P, d)
        return (chosen.unsqueeze(0),), {}


def response_sums(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum each sample's loss over its response tokens, with its graph, and count them.

    Returns sums in nats, float32 (B,), and counts, int64 (B,). Raises ValueError, naming the
    sample, if one has no response token to predict.
    """
    with ResponseHead(model, batch.response) as head:
        output = model(**batch.inputs, use_cache=False)
    counts = head.predicted.sum(dim=1)
    if not counts.all():
        empty = batch.sample_ids[int(counts.argmin())]
        raise InputError(f"sample {empty!r} has no response token to predict")
    targets = batch.inputs["input_ids"][:, 1:][head.predicted]  # (P,)
    losses = F.cross_entropy(head.logits(output.logits).float(), targets, reduction="none")
    table = losses.new_zeros(head.predicted.shape)  # (B, T - 1)
    return table.masked_scatter(head.predicted, losses).sum(dim=1), counts
