"""A sparse Johnson-Lindenstrauss projection, whose entries are a hash of (seed, coordinate)."""

import math

import torch

from vlselect.core.errors import InputError
from vlselect.gradients.splitmix import mix, random_bits

# Coordinates at a time, which bounds the float64 copies of a block: few enough for a CPU's caches;
# on a GPU many, since each chunk is some thirty small kernels.
CHUNK, GPU_CHUNK = 1 << 14, 1 << 20


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
        self._key = mix(torch.tensor(seed)).to(self.device)
        edges = torch.tensor([block * dim // nonzeros for block in range(nonzeros + 1)])
        self._lows = edges[:-1, None].to(self.device)  # (nonzeros, 1), like those below
        self._widths = edges.diff()[:, None].to(self.device)
        self._blocks = torch.arange(nonzeros, device=self.device)[:, None]

    def begin(self, n_samples: int) -> "SparseSum":
        """See `Projection`."""
        return SparseSum(self, n_samples)

    def describe(self) -> dict[str, object]:
        """See `Projection`."""
        names = ("size", "dim", "seed", "nonzeros")
        return {"type": "sjlt", **{name: getattr(self, name) for name in names}}

    def entries(self, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return targets (int64) and signs (float64, not yet divided by √nonzeros) in all blocks.

        Both are (nonzeros, n), for the n coordinates first … last.
        """
        inputs = torch.arange(first, last, device=self.device)
        bits = random_bits(self._key, inputs * self.nonzeros + self._blocks)
        uniform = (bits >> 32) & 0x7FFFFFFF  # 31 bits; the top bit is the sign's
        targets = self._lows + ((uniform * self._widths) >> 31)
        return targets, 1.0 - 2.0 * (bits < 0).double()


class SparseSum:
    """`Accumulator` of a `SparseProjection`; its memory is (B, k) float64."""

    def __init__(self, projection: SparseProjection, n_samples: int):
        self._projection = projection
        shape = (n_samples, projection.dim)
        self._sum = torch.zeros(shape, dtype=torch.float64, device=projection.device)

    def add(self, offset: int, block: torch.Tensor) -> None:
        """See `Accumulator`."""
        require_inside(self._projection.size, offset, block)
        chunk = CHUNK if block.device.type == "cpu" else GPU_CHUNK
        for start in range(0, block.shape[1], chunk):
            part = block[:, start : start + chunk].double()
            first = offset + start
            entries = self._projection.entries(first, first + part.shape[1])
            for targets, signs in zip(*entries, strict=True):
                self._sum.index_add_(1, targets, part * signs)

    def result(self) -> torch.Tensor:
        """See `Accumulator`."""
        return (self._sum / math.sqrt(self._projection.nonzeros)).float()


def require_inside(size: int, offset: int, block: torch.Tensor) -> None:
    """Raise ValueError if a block (B, n) at an offset is not inside vectors of a size."""
    if offset < 0 or offset + block.shape[1] > size:
        raise ValueError(
            f"coordinates {offset} to {offset + block.shape[1]} are outside a vector of {size}"
        )
