"""Per-sample gradients of LoRA weights, from one batched backward pass.

A LoRA matrix W is a linear layer without bias, so sample b's gradient is ∇W_b = Σ_t g_bt x_btᵀ,
where x are the layer's inputs and g is the loss gradient at its outputs. Hooks record both for a
whole batch; an input that several layers share is held once, in the model's dtype. The losses of
the samples are summed and samples do not interact, so each g_bt belongs to the loss of its own
sample, and the result is exact. The weights themselves do not require a gradient, so autograd
neither computes the batch gradient nor goes below the first adapted layer.
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
from vlselect.gradients.products import summed_products, uncast
from vlselect.gradients.projection import Projection
from vlselect.models.batching import Trial, batches
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
    """Return the mean loss over each sample's response tokens in nats, (B,), with its graph.

    Errors as for `likelihood.response_sums`.
    """
    sums, counts = response_sums(model, batch)
    return sums / counts


def lora_matrices(model: nn.Module) -> list[LoraMatrix]:
    """List a model's LoRA A and B weights, in the order of its named parameters.

    Raises ValueError if there are none, or the adapter has other weights (a bias, an embedding, a
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


def adapted_layers(model: nn.Module, matrices: Sequence[LoraMatrix]) -> list[nn.Module]:
    """Return peft's layers around the A matrices, which pass their input on, perhaps cast.

    Variants of LoRA are left out: they may change the input.
    """
    names = {m.name.rpartition(".lora_A.")[0] for m in matrices if ".lora_A." in m.name}
    layers = [model.get_submodule(name) for name in sorted(names)]
    return [layer for layer in layers if not getattr(layer, "lora_variant", None)]


class PerSampleGradients:
    """Compute, while entered, each sample's gradient with respect to all LoRA A and B weights.

    Meanwhile no parameter of the model requires a gradient; on exit this is restored. Samples must
    not interact: no batch normalisation, no routing with a capacity.

    Parameters
    ----------
    model : nn.Module
        With LoRA adapters by peft, in evaluation mode; else, entering raises ValueError, since
        dropout would add noise.
    losses : callable
        From (model, batch) to one loss per sample, Tensor (B,). The shape (B, T) of
        `batch.response` gives the numbers of samples and tokens.

    Attributes
    ----------
    size : int
        Length p of a flattened gradient: the LoRA weights in the order of named_parameters.
    """

    def __init__(self, model: nn.Module, losses: Losses = response_losses):
        self._model, self._losses = model, losses
        self._consume: Consumer | None = None  # set only during `stream`
        self._source: torch.Tensor | None = None  # what the next lora_A's input may be a cast of
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
        self._handles += [
            layer.register_forward_pre_hook(self._keep_source)
            for layer in adapted_layers(self._model, self.matrices)
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
        """Check that all LoRA weights are in the language model, whose first axis is samples.

        In a vision tower or a projector the first axis is images, and a sample may have none or
        several; the output layer gets response tokens only. Raises ValueError.
        """
        inside = {id(module) for module in decoder.modules()}
        for matrix in self.matrices:
            if id(matrix.layer) not in inside:
                raise InputError(
                    f"{matrix.name} is outside the language model, so its gradients cannot be "
                    "split by sample; remove it from gradients.warm_up.finetune.target_modules"
                )

    def stream(self, batch: Batch, consume: Consumer) -> torch.Tensor:
        """Run one forward and one backward pass; pass on each matrix's gradients as they come.

        Parameters
        ----------
        batch : Batch
        consume : callable
            Called with (offset, block): coordinates offset … offset + size of the flattened
            gradients, Tensor (B, size) of the dtype of `summed_products`, in the order of the
            backward pass. A layer that ran twice yields two blocks, to be added; one that did not
            contribute to the loss yields none: zeros.

        Returns
        -------
        Tensor (B,)
            The losses, detached.

        Raises
        ------
        RuntimeError
            If no LoRA layer ran, or a layer's activations cannot be split by sample.
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
            self._consume = self._source = None
        return losses.detach()

    def gradients(self, batch: Batch) -> torch.Tensor:
        """Return whole gradients, Tensor (B, p): for small p, and for tests."""
        out = torch.zeros(len(batch.response), self.size, device=batch.response.device)

        def consume(offset: int, block: torch.Tensor) -> None:
            out[:, offset : offset + block.shape[1]] += block

        self.stream(batch, consume)
        return out

    def _keep_source(self, layer: nn.Module, inputs: tuple) -> None:
        self._source = inputs[0].detach() if self._consume is not None and inputs else None

    def _capture(
        self, matrix: LoraMatrix, layer: nn.Module, inputs: tuple, output: torch.Tensor
    ) -> None:
        if self._consume is None or not torch.is_grad_enabled():
            return
        self._ran = True
        if not output.requires_grad:
            output.requires_grad_()  # the first adapted layer: the graph begins here
        x, self._source = uncast(inputs[0].detach(), self._source), None
        held = [x]  # a list, so that the input is freed as soon as it is used
        output.register_hook(partial(self._combine, matrix, held))

    def _combine(
        self, matrix: LoraMatrix, held: list[torch.Tensor], gradient: torch.Tensor
    ) -> None:
        x = by_sample(held.pop(), *self._shape, matrix.name)  # (B, t, in)
        g = by_sample(gradient, *self._shape, matrix.name)  # (B, t, out)
        self._consume(matrix.offset, summed_products(g, x).flatten(1))


def by_sample(values: torch.Tensor, n_samples: int, n_tokens: int, name: str) -> torch.Tensor:
    """Reshape a layer's activations (B, …, d), (B, d) or (B · T, d) to (B, t, d).

    The last form has the tokens of all samples one after the other. Raises RuntimeError, naming the
    layer's weight, if the first axis is neither, and thus images, say, or routed tokens.
    """
    if values.dim() >= 2 and len(values) == n_samples:
        return values.reshape(n_samples, -1, values.shape[-1])
    if values.dim() == 2 and len(values) == n_samples * n_tokens:
        return values.view(n_samples, n_tokens, -1)
    raise RuntimeError(
        f"activations at {name} have shape {tuple(values.shape)}, which cannot be split into "
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
    max_pixels: int,
) -> Iterator[tuple[Batch, torch.Tensor, torch.Tensor]]:
    """Iterate over samples in batches and project each one's gradient.

    If a GPU's memory is too small for a batch, its samples are repeated in batches of half as many
    tokens, and so are all later ones; this is logged as a warning and changes only rounding.

    Yields
    ------
    batch : Batch
        Every row is in exactly one.
    losses : float32 Tensor (B,)
    projected : float32 Tensor (B, k)
        Not normalised.
    """

    def run(batch: Batch) -> None:
        accumulator = projection.begin(len(batch))
        per_sample.stream(batch, accumulator.add)
        accumulator.result()

    trial = Trial(run, range(len(samples)))
    for batch in batches(vlm, samples, rows, image_root, max_pixels=max_pixels, trial=trial):
        accumulator = None
        try:
            accumulator = projection.begin(len(batch))
            losses = per_sample.stream(batch, accumulator.add)
            projected = accumulator.result()
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            projected = None  # leave the handler first: it keeps the failed pass alive
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


def require_norms(
    values: np.ndarray,
    losses: np.ndarray,
    sample_ids: Sequence[str],
    faults: dict[str, str] | None = None,
) -> np.ndarray:
    """Return the L2 norms, float64 (n,), of projected gradients (n, k); all must have a direction.

    Raises ValueError, naming the sample, if a gradient is not finite, or is zero although the loss
    is not; with `faults`, the norm is NaN instead, and the message is added there. A sample whose
    loss is exactly 0 may have a zero gradient, with a warning.
    """
    norms = np.linalg.norm(values.astype(np.float64), axis=1)
    for i in np.flatnonzero(~np.isfinite(norms) | (norms == 0)):
        if norms[i] != 0 or losses[i] != 0:
            what = (
                f"the gradient of sample {sample_ids[i]!r} has norm {norms[i]} at a loss of "
                f"{losses[i]:.6g}: it has no direction"
            )
            if faults is None:
                raise InputError(what)
            faults[sample_ids[i]], norms[i] = what, np.nan
            continue
        logger.warning("sample %r has loss 0 and a zero gradient, kept as zeros", sample_ids[i])
    return norms


def normalise(
    values: np.ndarray,
    losses: np.ndarray,
    sample_ids: Sequence[str],
    faults: dict[str, str] | None = None,
) -> np.ndarray:
    """Divide projected gradients (n, k) by their norms (see `require_norms`), to float32 (n, k).

    Rows of zeros, from samples whose loss is exactly 0, stay zero.
    """
    norms = require_norms(values, losses, sample_ids, faults)
    return (values / np.where(norms == 0, 1, norms)[:, None]).astype(np.float32)
