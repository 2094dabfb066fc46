"""Adam's view of a gradient: every coordinate divided by the root of its second moment.

AdamW moves a weight by its gradient's running mean over the root of the running mean of its
squares. With the second moments of the warm-up, the gradient of a sample becomes the step that
AdamW would take for it alone, which is LESS's representation of a pool sample up to the momentum.
Gradients of validation samples stay as they are: the inner product is then the change of their loss
by that step.

References
----------
Xia et al., "LESS: Selecting Influential Data for Targeted Instruction Tuning", arXiv 2402.04333,
section 3 (influence with Adam). Loshchilov and Hutter, arXiv 1711.05101, algorithm 2.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from vlselect.core.errors import InputError, MissingFileError, one_line
from vlselect.gradients.per_sample import LoraMatrix
from vlselect.gradients.projection import Accumulator, Projection
from vlselect.gradients.shifted import ShiftedProjection
from vlselect.models.lora import MOMENTS

KINDS = ("none", "adam")
EPSILON = 1e-8  # AdamW's, outside the root

logger = logging.getLogger(__name__)


def adam_weights(folder: str | Path, matrices: Sequence[LoraMatrix]) -> torch.Tensor:
    """Return what a warm-up's AdamW multiplies each coordinate of a gradient by: float32 (p,).

    That is 1 / (√v + ε), divided by its root mean square, so that lengths stay in their range. A
    weight that was not trained, or that had no gradient in the whole warm-up, takes no step: 0.

    Raises
    ------
    MissingFileError
        If the warm-up saved no second moments.
    InputError
        If the file is broken, is that of another adapter, or has no moment above 0.
    """
    path = Path(folder) / MOMENTS
    if not path.is_file():
        raise MissingFileError(
            f"{folder} has no {MOMENTS}, which gradients.precondition adam needs: delete the "
            "folder to warm up again"
        )
    try:
        moments = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is broken or cut off ({one_line(error)}): delete it") from error
    unknown = moments.keys() - {matrix.name for matrix in matrices}
    if unknown:
        raise InputError(f"{path} has moments of {sorted(unknown)[0]}, which the adapter lacks")
    parts = [_moment(path, matrix, moments.get(matrix.name)) for matrix in matrices]
    values = torch.cat(parts)
    still = values == 0
    if still.all():
        raise InputError(f"{path} has no second moment above 0")
    if still.any():
        logger.warning("%d of %d LoRA weights had no gradient", int(still.sum()), len(values))
    weights = torch.where(still, 0, 1 / (values.sqrt() + EPSILON))
    return weights / weights.double().square().mean().sqrt().float()


def _moment(path: Path, matrix: LoraMatrix, found: torch.Tensor | None) -> torch.Tensor:
    shape = matrix.layer.weight.shape
    if found is None:
        return torch.zeros(shape.numel())
    if found.shape != shape:
        raise InputError(f"{path}: {matrix.name} is {list(found.shape)} in place of {list(shape)}")
    return found.float().flatten()


def weighted(projection: Projection, weights: torch.Tensor) -> Projection:
    """Return the projection of vectors multiplied by weights (p,), coordinate by coordinate.

    `shifted` multiplies its signs by them, which costs nothing.
    """
    if isinstance(projection, ShiftedProjection):
        return projection.weighted(weights)
    return WeightedProjection(projection, weights)


class WeightedProjection:
    """A projection of vectors multiplied by float32 weights (p,)."""

    def __init__(self, inner: Projection, weights: torch.Tensor):
        self.size, self.dim, self.device = inner.size, inner.dim, inner.device
        self._inner, self._weights = inner, weights.to(inner.device)

    def begin(self, n_samples: int) -> "WeightedSum":
        """See `Projection`."""
        return WeightedSum(self._inner.begin(n_samples), self._weights)

    def describe(self) -> dict[str, object]:
        """See `Projection`; the weights are no part of the map."""
        return self._inner.describe()


class WeightedSum:
    """`Accumulator` of a `WeightedProjection`."""

    def __init__(self, inner: Accumulator, weights: torch.Tensor):
        self._inner, self._weights = inner, weights

    def add(self, offset: int, block: torch.Tensor) -> None:
        """See `Accumulator`."""
        own = self._weights[max(offset, 0) : offset + block.shape[1]]
        self._inner.add(offset, block * own if len(own) == block.shape[1] else block)

    def result(self) -> torch.Tensor:
        """See `Accumulator`."""
        return self._inner.result()
