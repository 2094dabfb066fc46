"""Random projections of gradients from R^p to R^k that keep inner products, in expectation.

There are four types. `rademacher` and `normal` are dense and come from the trak package; they cost
O(p·k) per sample and need its whole gradient at once. The other two are our own, in modules of
their own: a sample costs O(p), and its gradient may come in pieces, in any order, so that only (B,
k) numbers are held. `sjlt` is a sparse Johnson-Lindenstrauss map: every coordinate goes to a few of
the k targets. `shifted` is faster still: it adds whole runs of coordinates to the targets. Their
entries are a hash of (seed, coordinate), so they are the same on every device.

All are scaled so that the expectation of <φ(a), φ(b)> is <a, b>.
"""

import hashlib
import importlib.util
import logging
import math
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from trak.projectors import BasicProjector, CudaProjector, ProjectionType

from vlselect.core.errors import InputError
from vlselect.gradients.fingerprint import PROBE
from vlselect.gradients.shifted import ShiftedProjection
from vlselect.gradients.sparse import SparseProjection, require_inside

logger = logging.getLogger(__name__)

TYPES = ("sjlt", "shifted", "rademacher", "normal")
IMPLEMENTATIONS = ("auto", "basic", "cuda")

BASIC_COLUMNS = 100  # BasicProjector's own block of columns; its matrices depend on it
BASIC_BYTES = 16 * 2**30  # most bytes of one such block
CUDA_ROWS = 8  # most samples per call of fast_jl
CUDA_INDICES = 1 << 32  # its indices into these samples are unsigned 32-bit numbers, and wrap
CUDA_MULTIPLE = 512  # fast_jl projects only to multiples of it


class Accumulator(Protocol):
    """Collects the blocks of one batch of gradients and returns their projection."""

    def add(self, offset: int, block: torch.Tensor) -> None:
        """Add coordinates offset … offset + size of each sample: a float Tensor (B, size).

        Overlapping blocks add up; missing coordinates are zero.
        """

    def result(self) -> torch.Tensor:
        """Return the projected batch, float32 Tensor (B, k)."""


class Projection(Protocol):
    """A linear map from R^size to R^dim, fixed by its fingerprint."""

    size: int
    dim: int

    def begin(self, n_samples: int) -> Accumulator:
        """Start a batch of gradients."""

    def describe(self) -> dict[str, object]:
        """Return what determines the map, without the probe."""


def make(
    kind: str,
    *,
    size: int,
    dim: int,
    seed: int,
    device: torch.device,
    nonzeros: int,
    implementation: str,
) -> Projection:
    """Make a projection of a type in `TYPES` from R^size to R^dim.

    Parameters
    ----------
    seed : int
        At least 0.
    device : torch.device
        Where the gradients are.
    nonzeros : int
        Target coordinates of each input coordinate; `sjlt` only.
    implementation : {"auto", "basic", "cuda"}
        Projector of the trak package, for dense types only. ``auto`` is ``cuda`` for gradients on a
        GPU, else ``basic``. Their maps differ, so one never replaces the other.

    Raises
    ------
    ValueError
        If a number is out of range, the type is unknown, or the projector does not fit the device.
    InputError
        If ``cuda`` is needed and fast_jl is not installed.
    """
    if size < 1 or dim < 1 or seed < 0:
        raise ValueError(f"size {size} and dim {dim} must be positive, seed {seed} not negative")
    if kind == "sjlt":
        return SparseProjection(size, dim, seed, nonzeros=nonzeros, device=device)
    if kind == "shifted":
        return ShiftedProjection(size, dim, seed, device=device)
    if kind in TYPES:
        return DenseProjection(kind, size, dim, seed, device=device, implementation=implementation)
    raise ValueError(f"projection type {kind!r} is not one of {', '.join(TYPES)}")


def project(projection: Projection, vectors: torch.Tensor) -> torch.Tensor:
    """Project whole vectors: (B, p) to float32 (B, k)."""
    accumulator = projection.begin(len(vectors))
    accumulator.add(0, vectors)
    return accumulator.result()


def fingerprint(projection: Projection) -> dict[str, object]:
    """Describe a projection so that different ones have different fingerprints.

    Its `probe` is the sha256 (hex) of the signs of φ(v), where v is 1 at five coordinates spread
    over the vector and 0 elsewhere: signs, because the last bits of normal numbers may differ
    between machines, and five, because a sum of an odd number of ±1 is never 0.
    """
    size = projection.size
    probe = torch.zeros(1, size, device=projection.device)
    probe[0, [0, size // 4, size // 2, 3 * size // 4, size - 1]] = 1.0
    signs = project(projection, probe).sign().to("cpu", torch.int8)
    digest = hashlib.sha256(signs.numpy().tobytes()).hexdigest()
    return {**projection.describe(), PROBE: digest}


class DenseProjection:
    """A dense projection by the trak package, divided by √k; errors as for `make`.

    The whole (B, p) batch is held in memory, as trak's projectors require. On a CPU this is only
    for small p, since the p × k matrix is computed again for every batch.

    References
    ----------
    Park et al., "TRAK: Attributing Model Behavior at Scale", arXiv 2303.14186, section 3.
    """

    def __init__(
        self,
        kind: str,
        size: int,
        dim: int,
        seed: int,
        *,
        device: torch.device,
        implementation: str,
    ):
        self.device = torch.device(device)
        if implementation == "auto":
            implementation = "cuda" if self.device.type == "cuda" else "basic"
        self.kind, self.size, self.dim, self.seed = kind, size, dim, seed
        self.implementation = implementation
        self._require_possible()
        common = {"grad_dim": size, "proj_dim": dim, "seed": seed, "device": self.device}
        if implementation == "cuda":
            with current(self.device):
                self._projector = CudaProjector(
                    **common, proj_type=ProjectionType(kind), max_batch_size=CUDA_ROWS
                )
        else:
            what = "its %d x %d matrix is recomputed for every batch, which is slow; use shifted"
            logger.warning(f"gradients.projection.type %s: {what}", kind, size, dim)
            self._projector = BasicProjector(
                **common, proj_type=ProjectionType(kind), block_size=BASIC_COLUMNS
            )

    def begin(self, n_samples: int) -> "DenseBuffer":
        """See `Projection`."""
        return DenseBuffer(self, n_samples)

    def describe(self) -> dict[str, object]:
        """See `Projection`; random generators differ between device types."""
        return {
            "type": self.kind,
            "implementation": f"trak {self.implementation} on {self.device.type}",
            **{name: getattr(self, name) for name in ("size", "dim", "seed")},
        }

    def apply(self, vectors: torch.Tensor) -> torch.Tensor:
        """Project whole vectors: float32 (B, p) to float32 (B, k).

        fast_jl casts them to float16, so they are scaled to unit norm, in place, and back.
        """
        if self.implementation == "basic":
            return self._projector.project(vectors, model_id=0) / math.sqrt(self.dim)
        norms = _scale_to_units(vectors)
        with current(self.device):
            parts = vectors.split(rows_at_once(self.size))
            projected = [self._projector.project(part, model_id=0) for part in parts]
        return torch.cat(projected) * norms / math.sqrt(self.dim)

    def _require_possible(self) -> None:
        if self.implementation not in IMPLEMENTATIONS:
            raise InputError(
                f"gradients.projection.implementation {self.implementation!r} is not one of "
                f"{', '.join(IMPLEMENTATIONS)}"
            )
        if self.implementation == "basic":
            needed = self.size * min(self.dim, BASIC_COLUMNS) * 4
            if needed > BASIC_BYTES:
                raise InputError(
                    f"trak's BasicProjector needs {needed / 2**30:.0f} GiB for {self.size} LoRA "
                    "parameters: set gradients.projection.type to sjlt, or implementation to cuda"
                )
            return
        if self.device.type != "cuda":
            raise InputError(
                f"gradients.projection.implementation is cuda, but the model is on {self.device}: "
                "set it to basic, or the model's device to cuda"
            )
        if self.dim % CUDA_MULTIPLE:
            raise InputError(
                f"gradients.projection.dim is {self.dim}, but trak's CudaProjector needs a "
                f"multiple of {CUDA_MULTIPLE}"
            )
        if self.size >= CUDA_INDICES:
            raise InputError(
                f"{self.kind} projection on a GPU is for less than 2^32 LoRA parameters, not "
                f"{self.size}: set gradients.projection.type to shifted, or a lower rank"
            )
        if importlib.util.find_spec("fast_jl") is None:
            raise InputError(
                f"{self.kind} projection on a GPU needs the package fast_jl: install it, or set "
                "gradients.projection.implementation to basic (slower, and a different map), or "
                "gradients.projection.type to sjlt"
            )


class DenseBuffer:
    """`Accumulator` of a `DenseProjection`; its memory is (B, p) float32."""

    def __init__(self, projection: DenseProjection, n_samples: int):
        self._projection = projection
        self._vectors = torch.zeros(n_samples, projection.size, device=projection.device)

    def add(self, offset: int, block: torch.Tensor) -> None:
        """See `Accumulator`."""
        require_inside(self._projection.size, offset, block)
        self._vectors[:, offset : offset + block.shape[1]] += block

    def result(self) -> torch.Tensor:
        """See `Accumulator`."""
        return self._projection.apply(self._vectors)


def current(device: torch.device) -> AbstractContextManager:
    """Make a numbered GPU the current one meanwhile, which fast_jl launches on."""
    return nullcontext() if device.index is None else torch.cuda.device(device)


def rows_at_once(size: int) -> int:
    """Return how many vectors of a size fast_jl takes in a call before its indices wrap, 1 to 8."""
    return max(1, min(CUDA_ROWS, (CUDA_INDICES - 1) // size))


def _scale_to_units(rows: torch.Tensor) -> torch.Tensor:
    """Scale rows (B, p) to unit norm in place, except zeros, and return their norms (B, 1)."""
    norms = rows.new_ones(len(rows), 1)
    for order in (math.inf, 2):  # the largest value first: its square may overflow
        scales = torch.linalg.vector_norm(rows, order, dim=1, keepdim=True)
        scales = scales.where(scales != 0, 1)
        rows /= scales
        norms *= scales
    return norms
