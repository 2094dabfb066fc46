"""Per-sample gradients of LoRA weights, from one batched backward pass.

A LoRA matrix W is a linear layer without bias, so sample b's gradient is ∇W_b = Σ_t g_bt x_btᵀ,
with x the layer's inputs and g the loss gradient at its outputs. Hooks catch both, for a whole
batch at once. The losses of the samples are summed, and no sample sees another, so each g_bt
belongs to the loss of its own sample: the result is exact. The weights themselves need no
gradient, hence autograd never makes those of the batch, nor goes below the first adapted layer.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import nn

from vlselect.core.errors import InputError
from vlselect.features.likelihood import response_sums
from vlselect.gradients.projection import Projection
from vlselect.models.batching import batches
from vlselect.models.vlm import VLM, Batch
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

LORA_MATRIX = re.compile(r".*\.lora_[AB]\.[^.]+\.weight")

Consumer = Callable[[int, torch.Tensor], None]
Losses = Callable[[nn.Module, Batch], torch.Tensor]


@dataclass(frozen=True)
class LoraMatrix:
    """A LoRA weight and its place in the flattened gradient: offset … offset + numel."""

    name: str
    layer: nn.Linear
    offset: int


def response_losses(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean loss over each sample's response tokens, in nats: float32 Tensor (B,), with its graph.

    Raises
    ------
    ValueError
        If a sample has no response token to predict; names it.
    """
    sums, counts = response_sums(model, batch)
    return sums / counts


def lora_matrices(model: nn.Module) -> list[LoraMatrix]:
    """List a model's LoRA A and B weights, in the order of its named parameters.

    Raises
    ------
    ValueError
        If there are none, or the adapter has weights of another kind (a bias, an embedding, a
        convolution, DoRA's magnitudes), whose gradients would be missing.
    """
    matrices, offset = [], 0
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            continue
        layer = model.get_submodule(name.rpartition(".")[0])
        if not LORA_MATRIX.fullmatch(name) or not isinstance(layer, nn.Linear):
            raise InputError(f"{name} is not the A or B of a LoRA on a linear layer")
        matrices.append(LoraMatrix(name, layer, offset))
        offset += parameter.numel()
    if not matrices:
        raise InputError(f"{type(model).__name__} has no LoRA weights")
    return matrices


class PerSampleGradients:
    """While entered, gives each sample's gradient with respect to all LoRA A and B weights.

    Meanwhile no parameter of the model requires a gradient; on leaving, those that did do again.
    Samples must not see each other: no batch normalisation, nor routing with a capacity.

    Parameters
    ----------
    model : nn.Module
        With LoRA adapters by peft, in evaluation mode.
    losses : callable
        From (model, batch) to one loss per sample, Tensor (B,). `batch.response`, of shape (B, T),
        gives the numbers of samples and tokens.

    Attributes
    ----------
    size : int
        Length p of a flattened gradient: the LoRA weights in the order of named_parameters.

    Raises
    ------
    ValueError
        On entering, if some module is in training mode, where dropout would blur the gradients.
    """

    def __init__(self, model: nn.Module, losses: Losses = response_losses):
        self._model, self._losses = model, losses
        self._consume: Consumer | None = None  # present during `stream` only
        self.matrices = lora_matrices(model)
        last = self.matrices[-1]
        self.size = last.offset + last.layer.weight.numel()

    def __enter__(self) -> "PerSampleGradients":
        for name, module in self._model.named_modules():
            if module.training:
                raise ValueError(
                    f"module {name or type(module).__name__!r} is in training mode; gradients "
                    "without dropout need model.eval()"
                )
        self._trainable = [p for p in self._model.parameters() if p.requires_grad]
        for parameter in self._trainable:
            parameter.requires_grad_(False)
        self._handles = [
            matrix.layer.register_forward_hook(partial(self._capture, matrix))
            for matrix in self.matrices
        ]
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        for parameter in self._trainable:
            parameter.requires_grad_(True)

    def require_inside(self, decoder: nn.Module) -> None:
        """Check that all LoRA weights sit in the language model, whose first axis is samples.

        Raises
        ------
        ValueError
            If one does not. In a vision tower or a projector the first axis is images, of which a
            sample may have none or several; the output layer sees response tokens only.
        """
        inside = {id(module) for module in decoder.modules()}
        for matrix in self.matrices:
            if id(matrix.layer) not in inside:
                raise InputError(
                    f"{matrix.name} is outside the language model, so its gradients cannot be told "
                    "apart by sample; leave it out of gradients.warm_up.finetune.target_modules"
                )

    def stream(self, batch: Batch, consume: Consumer) -> torch.Tensor:
        """Run one forward and one backward pass; hand over each matrix's gradients as they come.

        Parameters
        ----------
        batch : Batch
        consume : callable
            Called with (offset, block): coordinates offset … offset + size of the flattened
            gradients, Tensor (B, size) of at least float32. Blocks come in the order of the
            backward pass. A layer that ran twice gives two blocks, to be added; one that did not
            run, or not for the loss, gives none: zeros.

        Returns
        -------
        Tensor (B,)
            The losses, detached.

        Raises
        ------
        RuntimeError
            If no LoRA layer took part, or a layer's activations cannot be told apart by sample.
        """
        self._shape, self._consume, self._ran = tuple(batch.response.shape), consume, False
        try:
            with torch.enable_grad():
                losses = self._losses(self._model, batch)
                if not self._ran:
                    raise RuntimeError("no LoRA layer ran: is the adapter merged or disabled?")
                if losses.shape != self._shape[:1]:
                    raise RuntimeError(
                        f"losses of shape {tuple(losses.shape)} for {self._shape[0]} samples"
                    )
                losses.sum().backward()
        finally:
            self._consume = None
        return losses.detach()

    def gradients(self, batch: Batch) -> torch.Tensor:
        """Give whole gradients, Tensor (B, p): for small p, and for tests."""
        out = torch.zeros(len(batch.response), self.size, device=batch.response.device)

        def consume(offset: int, block: torch.Tensor) -> None:
            out[:, offset : offset + block.shape[1]] += block

        self.stream(batch, consume)
        return out

    def _capture(
        self, matrix: LoraMatrix, layer: nn.Module, inputs: tuple, output: torch.Tensor
    ) -> None:
        if self._consume is None or not torch.is_grad_enabled():
            return
        self._ran = True
        if not output.requires_grad:
            output.requires_grad_()  # the first adapted layer: the graph begins here
        held = [inputs[0].detach()]  # a list, so that the input is let go as soon as it is used
        output.register_hook(partial(self._combine, matrix, held))

    def _combine(
        self, matrix: LoraMatrix, held: list[torch.Tensor], gradient: torch.Tensor
    ) -> None:
        x = by_sample(held.pop(), *self._shape, matrix.name)  # (B, t, in)
        g = by_sample(gradient, *self._shape, matrix.name)  # (B, t, out)
        dtype = torch.promote_types(g.dtype, torch.float32)
        self._consume(matrix.offset, summed_products(g.to(dtype), x.to(dtype)).flatten(1))


def summed_products(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Sum g_t x_tᵀ over the tokens of each sample: (B, t, out) and (B, t, in) to (B, out, in).

    One of the two is as narrow as the adapter's rank. Products of many small matrices are some
    three times faster on a CPU where the narrow one comes first.
    """
    if g.shape[2] <= x.shape[2]:
        return torch.bmm(g.transpose(1, 2), x)
    return torch.bmm(x.transpose(1, 2), g).transpose(1, 2)


def by_sample(values: torch.Tensor, n_samples: int, n_tokens: int, name: str) -> torch.Tensor:
    """Bring a layer's activations into the shape (B, t, d).

    Parameters
    ----------
    values : Tensor (B, …, d), (B, d) or (B · T, d)
        The last form has the tokens of all samples one after the other.
    n_samples, n_tokens : int
        B and T.
    name : str
        Of the layer's weight, for the error.

    Raises
    ------
    RuntimeError
        If the first axis is neither; then it is not samples (images, say, or routed tokens).
    """
    if values.dim() >= 2 and len(values) == n_samples:
        return values.reshape(n_samples, -1, values.shape[-1])
    if values.dim() == 2 and len(values) == n_samples * n_tokens:
        return values.view(n_samples, n_tokens, -1)
    raise RuntimeError(
        f"activations at {name} have shape {tuple(values.shape)}, which cannot be told apart into "
        f"{n_samples} samples of {n_tokens} tokens; adapt layers of the language model only"
    )


def project_gradients(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    per_sample: PerSampleGradients,
    projection: Projection,
    *,
    max_pixels: int = 50_000_000,
) -> Iterator[tuple[Batch, torch.Tensor, torch.Tensor]]:
    """Go through samples in batches and project each one's gradient.

    Where a GPU's memory is too small for a batch, its samples are done again in batches of half
    its tokens, and so are those to come; a warning says so. Results then differ in rounding only.

    Yields
    ------
    batch : Batch
        Every row comes in just one.
    losses : float32 Tensor (B,)
    projected : float32 Tensor (B, k)
        Not normalised.
    """
    for batch in batches(vlm, samples, rows, image_root, max_pixels=max_pixels):
        accumulator = None
        try:
            accumulator = projection.begin(len(batch))
            losses = per_sample.stream(batch, accumulator.add)
            projected = accumulator.result()
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            projected = None  # leave the handler first: it holds on to the failed pass
        if projected is not None:
            yield batch, losses, projected
            continue
        del accumulator
        torch.cuda.empty_cache()
        half = batch.response.numel() // 2  # tokens, padding included
        vlm.batch_tokens = min(vlm.batch_tokens or half, half)
        logger.warning("out of GPU memory: at most %d tokens a batch from now on", vlm.batch_tokens)
        again = sorted(batch.rows.tolist())
        del batch
        yield from project_gradients(
            vlm, samples, again, image_root, per_sample, projection, max_pixels=max_pixels
        )


def require_norms(values: np.ndarray, losses: np.ndarray, sample_ids: Sequence[str]) -> np.ndarray:
    """Compute the L2 norms of projected gradients, which have to be finite and above zero.

    A sample whose loss is exactly 0 may have a zero gradient, with a warning.

    Parameters
    ----------
    values : float array (n, k)
    losses : float array (n,)
    sample_ids : sequence of str

    Returns
    -------
    float64 array (n,)

    Raises
    ------
    ValueError
        If a gradient is not finite, or zero where the loss is not; names the sample.
    """
    norms = np.linalg.norm(values.astype(np.float64), axis=1)
    for i in np.flatnonzero(~np.isfinite(norms) | (norms == 0)):
        if norms[i] != 0 or losses[i] != 0:
            raise InputError(
                f"the gradient of sample {sample_ids[i]!r} has norm {norms[i]} at a loss of "
                f"{losses[i]:.6g}: it has no direction"
            )
        logger.warning("sample %r has loss 0 and a zero gradient, kept as zeros", sample_ids[i])
    return norms


def normalise(values: np.ndarray, losses: np.ndarray, sample_ids: Sequence[str]) -> np.ndarray:
    """Divide projected gradients (n, k) by their norms (see `require_norms`), to float32 (n, k).

    Rows of zeros, of samples whose loss is exactly 0, stay.
    """
    norms = require_norms(values, losses, sample_ids)
    return (values / np.where(norms == 0, 1, norms)[:, None]).astype(np.float32)
