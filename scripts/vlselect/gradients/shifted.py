"""A random projection in one pass: runs of coordinates, rotated and added to the targets.

The vector is cut into runs of k coordinates. Each run is rotated by a random shift, its values get
random signs, and it is added to the k targets. Two coordinates of different runs collide with
probability 1/k, as in any hash, and two of one run never do; so the error of an inner product has
at most the variance of a dense Rademacher projection to the same k. A run is added contiguously,
without a scatter, which makes this the fastest of the projections.
"""

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812

from vlselect.gradients.splitmix import mix, random_bits

CACHED = 1 << 24  # most signs that are kept as numbers, 64 MiB; of longer vectors, they are bits
_BITS = 64  # signs in one random number
_BYTE = 8


class ShiftedProjection:
    """Count sketch whose hash moves whole runs of `dim` coordinates.

    References
    ----------
    Desai, Chou and Shrivastava, "Random Offset Block Embedding Array (ROBE)", arXiv 2108.02191
    (a random offset for each block, and its variance). Weinberger et al., "Feature Hashing for
    Large Scale Multitask Learning", arXiv 0902.2206 (random signs).
    """

    def __init__(self, size: int, dim: int, seed: int, *, device: torch.device):
        self.size, self.dim, self.seed = size, dim, seed
        self.device = torch.device(device)
        key = mix(torch.tensor(seed))
        bits = random_bits(mix(key ^ 2), torch.arange(-(-size // dim)))
        shifts = (((bits >> 32) & 0x7FFFFFFF) * dim) >> 31  # 0 … dim - 1
        self._shifts, self.shifts = shifts.tolist(), shifts.to(self.device)
        counters = torch.arange(-(-size // _BITS), device=self.device)
        self._bits = random_bits(mix(key ^ 1).to(self.device), counters).view(torch.uint8)
        places = torch.arange(_BYTE, device=self.device)
        bytes_ = torch.arange(1 << _BYTE, device=self.device)
        self._signs_of = 1.0 - 2.0 * ((bytes_[:, None] >> places) & 1).float()  # (256, 8)
        self._weights: torch.Tensor | None = None
        self._signs = self._make_signs(0, size) if size <= CACHED else None

    def begin(self, n_samples: int) -> "ShiftedSum":
        """See `projection.Projection`."""
        return ShiftedSum(self, n_samples)

    def describe(self) -> dict[str, object]:
        """See `projection.Projection`."""
        return {"type": "shifted", "size": self.size, "dim": self.dim, "seed": self.seed}

    def weighted(self, weights: torch.Tensor) -> "ShiftedProjection":
        """Return the projection of vectors multiplied by float32 weights (size,): at no cost."""
        other = copy.copy(self)
        other._weights = weights.to(self.device)
        other._signs = None if self._signs is None else self._signs * other._weights
        return other

    def signs(self, start: int, stop: int) -> torch.Tensor:
        """Return the signs, 1 or -1, of coordinates start … stop: float32 (stop - start,).

        Those of a `weighted` projection are multiplied by the weights.
        """
        if self._signs is None:
            return self._make_signs(start, stop)
        return self._signs[start:stop]

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Cut coordinates start … stop into pieces with contiguous targets: first, last, target.

        Coordinate i of a run goes to target (i + shift) mod dim.
        """
        while start < stop:
            run, place = divmod(start, self.dim)
            target = (place + self._shifts[run]) % self.dim
            length = min(stop - start, self.dim - place, self.dim - target)
            yield start, start + length, target
            start += length

    def _make_signs(self, start: int, stop: int) -> torch.Tensor:
        first, last = start // _BYTE, -(-stop // _BYTE)
        signs = self._signs_of[self._bits[first:last].int()].flatten()  # (bytes · 8,)
        signs = signs[start - first * _BYTE : stop - first * _BYTE]
        return signs if self._weights is None else signs * self._weights[start:stop]


class ShiftedSum:
    """`projection.Accumulator` of a `ShiftedProjection`; its memory is (B, k) float32.

    Blocks are added in the order in which they arrive, which affects rounding only.
    """

    def __init__(self, projection: ShiftedProjection, n_samples: int):
        self._projection = projection
        self._sum = torch.zeros(n_samples, projection.dim, device=projection.device)

    def add(self, offset: int, block: torch.Tensor) -> None:
        """See `projection.Accumulator`."""
        phi, end = self._projection, offset + block.shape[1]
        if offset < 0 or end > phi.size:
            raise ValueError(f"coordinates {offset} to {end} are outside a vector of {phi.size}")
        block, signs = block.float(), phi.signs(offset, end)
        if block.is_cuda:
            self._add_at_once(offset, block * signs)
            return
        for first, last, target in phi.pieces(offset, end):
            here = slice(first - offset, last - offset)
            self._sum[:, target : target + last - first].addcmul_(block[:, here], signs[here])

    def _add_at_once(self, offset: int, signed: torch.Tensor) -> None:
        """Add all runs of a block (B, n) in a few operations, each a launch on a GPU.

        On a CPU, the loop over pieces is faster.
        """
        dim, end = self._projection.dim, offset + signed.shape[1]
        first, last = offset // dim, -(-end // dim)
        runs = F.pad(signed, (offset - first * dim, last * dim - end)).unflatten(1, (-1, dim))
        targets = torch.arange(dim, device=signed.device)
        places = (targets - self._projection.shifts[first:last, None]) % dim  # (runs, k)
        self._sum += runs.gather(2, places.expand(len(runs), -1, -1)).sum(dim=1)

    def result(self) -> torch.Tensor:
        """See `projection.Accumulator`."""
        return self._sum
