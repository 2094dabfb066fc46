"""Finetuning loss: the mean over the response tokens of a whole optimiser step.

A step's tokens are those of all its micro-batches, in all processes. Some models' own losses
differ: if transformers sets ``accepts_loss_kwargs = False``, they are means over a micro-batch, and
the mean of such means gives a token more weight the fewer tokens its micro-batch has.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.utils import ModelOutput

from vlselect.models.collation import IGNORED


class NotFiniteError(ArithmeticError):
    """The loss of some samples of a micro-batch is infinite or NaN; `places` are theirs in it."""

    def __init__(self, places: list[int]):
        super().__init__(f"the loss of samples {places} of a micro-batch is not finite")
        self.places = places


class StepLoss:
    """A micro-batch's part of the loss of its optimiser step, for the Trainer (compute_loss_func).

    The parts of a step add up to its loss. The Trainer multiplies each by the number of processes,
    whose gradients are averaged.

    Parameters
    ----------
    config : PreTrainedConfig
        Of the model. Its ``router_aux_loss_coef`` weights the load-balancing loss of a mixture of
        experts that computes one (``output_router_logits``). That loss belongs to a micro-batch; a
        step's is the mean over its micro-batches, weighted by their tokens.
    """

    def __init__(self, config: PreTrainedConfig):
        self._config = config.get_text_config()

    def __call__(self, outputs: ModelOutput, labels: Tensor, num_items_in_batch: Tensor) -> Tensor:
        """Sum the token losses of a micro-batch, in nats, and divide by the tokens of the step.

        Parameters
        ----------
        outputs : ModelOutput
            With ``logits`` (B, T, V).
        labels : int64 Tensor (B, T)
            Response tokens, `IGNORED` elsewhere; the first of a row has no prediction.
        num_items_in_batch : Tensor ()
            Response tokens of the step.

        Raises
        ------
        NotFiniteError
            If the sum is infinite or NaN.
        """
        targets = labels[:, 1:].to(outputs.logits.device)
        counted = targets != IGNORED  # (B, T - 1)
        logits = outputs.logits[:, :-1][counted].float()  # (P, V)
        loss = F.cross_entropy(logits, targets[counted], reduction="sum")
        if not torch.isfinite(loss):
            tokens = F.cross_entropy(logits, targets[counted], reduction="none")
            places = counted.nonzero()[:, 0][~torch.isfinite(tokens)]
            raise NotFiniteError(places.unique().tolist())
        if (balance := getattr(outputs, "aux_loss", None)) is not None:
            weight = self._config.router_aux_loss_coef * counted.sum()
            loss = loss + weight * balance.to(loss.device)
        return loss / torch.as_tensor(num_items_in_batch, device=loss.device)
