"""Random projections of gradients from R^p to R^k that keep inner products, in expectation.

There are four types. `rademacher` and `normal` are dense and come from the trak package; they cost
O(p·k) per sample and need its whole gradient at once. `sjlt` is our own sparse
Johnson-Lindenstrauss map: every coordinate goes to a few of the k targets, so a sample costs O(p)
and its gradient may come in pieces, in any order. `shifted` (in its own module) is faster still: it
adds whole runs of coordinates to the targets. The entries of the last two are a hash of (seed,
coordinate), so they are the same on every device.

All are scaled so that the expectation of <φ(a), φ(b)> is <a, b>.
"""

import hashlib
import importlib.util
import logging
import math
from typing import Protocol

import torch
from trak.projectors import BasicProjector, CudaProjector, ProjectionType

from vlselect.core.errors import InputError
from vlselect.gradients.shifted import ShiftedProjection
from vlselect.gradients.splitmix import mix, random_bits

logger = logging.getLogger(__name__)

TYPES = ("sjlt", "shifted", "rademacher", "normal")
IMPLEMENTATIONS = ("auto", "basic", "cuda")

CHUNK = 1 << 16  # coordinates at a time: bounds the float64 copies of a block
BASIC_COLUMNS = 100  # BasicProjector's own block of columns; its matrices depend on it
BASIC_BYTES = 16 * 2**30  # most bytes of one such block
CUDA_ROWS = 8  # samples per call of fast_jl, always the same
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
    return {**projection.describe(), "probe": digest}


class SparseProjection:
    """Sparse Johnson-Lindenstrauss transform in the block construction.

    The k target coordinates are cut into `nonzeros` blocks (1 to dim), as even as possible. Each
    input coordinate goes to one coordinate of every block, with a random sign, divided by
    √nonzeros, so it never reaches a target twice.

    Sums are kept in float64, where the order of the blocks and of CUDA's atomic additions changes
    only bits far below the precision of the float32 result.

    References
    ----------
    Kane and Nelson, "Sparser Johnson-Lindenstrauss Transforms", arXiv 1012.1577, section 1.1
    (block construction).
    """

    def __init__(self, size: int, dim: int, seed: int, *, nonzeros: int, device: torch.device):
        if not 1 <= nonzeros <= dim:
            raise InputError(f"nonzeros {nonzeros} is not in 1 … dim ({dim})")
        self.size, self.dim, self.seed, self.nonzeros = size, dim, seed, nonzeros
        self.device = torch.device(device)

    def begin(self, n_samples: int) -> "SparseSum":
        """See `Projection`."""
        return SparseSum(self, n_samples)

    def describe(self) -> dict[str, object]:
        """See `Projection`."""
        names = ("size", "dim", "seed", "nonzeros")
        return {"type": "sjlt", **{name: getattr(self, name) for name in names}}

    def entries(self, inputs: torch.Tensor, block: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return targets (int64) and signs (float64, not yet divided by √nonzeros) in one block.

        Both have the shape (n,) of the input coordinates; blocks are counted from 0.
        """
        key = mix(torch.tensor(self.seed, device=inputs.device))
        bits = random_bits(key, inputs * self.nonzeros + block)
        low, high = (b * self.dim // self.nonzeros for b in (block, block + 1))
        uniform = (bits >> 32) & 0x7FFFFFFF  # 31 bits; the top bit is the sign's
        targets = low + ((uniform * (high - low)) >> 31)
        return targets, 1.0 - 2.0 * (bits < 0).double()


class SparseSum:
    """`Accumulator` of a `SparseProjection`; its memory is (B, k) float64."""

    def __init__(self, projection: SparseProjection, n_samples: int):
        self._projection = projection
        shape = (n_samples, projection.dim)
        self._sum = torch.zeros(shape, dtype=torch.float64, device=projection.device)

    def add(self, offset: int, block: torch.Tensor) -> None:
        """See `Accumulator`."""
        _require_inside(self._projection.size, offset, block)
        for start in range(0, block.shape[1], CHUNK):
            part = block[:, start : start + CHUNK].double()
            first = offset + start
            inputs = torch.arange(first, first + part.shape[1], device=part.device)
            for number in range(self._projection.nonzeros):
                targets, signs = self._projection.entries(inputs, number)
                self._sum.index_add_(1, targets, part * signs)

    def result(self) -> torch.Tensor:
        """See `Accumulator`."""
        return (self._sum / math.sqrt(self._projection.nonzeros)).float()


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
        parts = [self._projector.project(part, model_id=0) for part in vectors.split(CUDA_ROWS)]
        return torch.cat(parts) * norms / math.sqrt(self.dim)

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
        _require_inside(self._projection.size, offset, block)
        self._vectors[:, offset : offset + block.shape[1]] += block

    def result(self) -> torch.Tensor:
        """See `Accumulator`."""
        return self._projection.apply(self._vectors)


def _scale_to_units(rows: torch.Tensor) -> torch.Tensor:
    """Scale rows (B, p) to unit norm in place, except zeros, and return their norms (B, 1)."""
    norms = rows.new_ones(len(rows), 1)
    for order in (math.inf, 2):  # the largest value first: its square may overflow
        scales = torch.linalg.vector_norm(rows, order, dim=1, keepdim=True)
        scales = scales.where(scales != 0, 1)
        rows /= scales
        norms *= scales
    return norms


def _require_inside(size: int, offset: int, block: torch.Tensor) -> None:
    if offset < 0 or offset + block.shape[1] > size:
        raise ValueError(
            f"coordinates {offset} to {offset + block.shape[1]} are outside a vector of {size}"
        )
