"""What one forward pass makes of a sample: its hidden states, or its output-layer gradient.

Both are vectors of unit length; the losses come from the same pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from vlselect.features.forward_pass import token_width
from vlselect.features.weighted_hidden import hidden_and_losses
from vlselect.gradients.output_gradients import OutputProjection, gradients_and_losses
from vlselect.models.batching import Trial, batches
from vlselect.models.vlm import VLM, Batch
from vlselect.pool.samples import Samples

KINDS = ("hidden", "output")
PLAIN = {"type": "none"}  # projection of hidden states

Pass = Callable[[nn.Module, Batch], tuple[torch.Tensor, torch.Tensor]]


class Representation(NamedTuple):
    """Length of a vector, how it is projected, and the pass: model, batch to vectors, losses."""

    width: int
    projection: Mapping[str, object]
    run: Pass


def representation(kind: str, model: nn.Module, positions: str | None) -> Representation:
    """Return the representation of a kind; `positions` are those of `hidden_and_losses`."""
    if kind == "hidden":
        run = partial(hidden_and_losses, positions=positions)
        return Representation(token_width(model), PLAIN, run)
    projection = OutputProjection(model)
    run = partial(gradients_and_losses, projection=projection)
    return Representation(projection.dim, projection.describe(), run)


def represent(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    run: Pass,
    *,
    max_pixels: int,
) -> Iterator[tuple[Batch, torch.Tensor, torch.Tensor]]:
    """Iterate over samples in batches: each with its losses (B,) and vectors (B, k), float32.

    As `per_sample.project_gradients` does for gradients of adapters.
    """
    trial = Trial(partial(run, vlm.model), range(len(samples)))
    for batch in batches(vlm, samples, rows, image_root, max_pixels=max_pixels, trial=trial):
        vectors, losses = run(vlm.model, batch)
        yield batch, losses, vectors
