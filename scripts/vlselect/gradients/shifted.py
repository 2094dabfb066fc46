"""A random projection in one pass: runs of coordinates, rotated and added to the targets.

The vector is cut into runs of k coordinates. Each run is rotated by a random shift, its values get
random signs, and it is added to the k targets. Two coordinates of different runs collide with
probability 1/k, as in any hash, and two of one run never do; so the error of an inner product has
at most the variance of a dense Rademacher projection to the same k. A run is added contiguously,
without a scatter, which makes this the fastest of the projections.
"""

from collections.abc import Iterator

import torch

from vlselect.gradients.splitmix import mix, random_bits

CACHED = 1 << 24  # most signs that are kept, 64 MiB; for longer vectors they are recomputed
_BITS = 64  # signs in one random number


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
        self._sign_key = mix(key ^ 1).to(self.device)
        bits = random_bits(mix(key ^ 2), torch.arange(-(-size // dim)))
        self._shifts = ((((bits >> 32) & 0x7FFFFFFF) * dim) >> 31).tolist()  # 0 … dim - 1
        self._signs = self._make_signs(0, size) if size <= CACHED else None

    def begin(self, n_samples: int) -> "ShiftedSum":
        """See `projection.Projection`."""
        return ShiftedSum(self, n_samples)

    def describe(self) -> dict[str, object]:
        """See `projection.Projection`."""
        return {"type": "shifted", "size": self.size, "dim": self.dim, "seed": self.seed}

    def signs(self, start: int, stop: int) -> torch.Tensor:
        """Return the signs, 1 or -1, of coordinates start … stop: float32 (stop - start,)."""
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
        first, last = start // _BITS, -(-stop // _BITS)
        words = random_bits(self._sign_key, torch.arange(first, last, device=self.device))
        places = torch.arange(_BITS, device=self.device)
        bits = ((words[:, None] >> places) & 1).flatten()  # (words · 64,)
        return 1.0 - 2.0 * bits[start - first * _BITS : stop - first * _BITS].float()


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
        for first, last, target in phi.pieces(offset, end):
            here = slice(first - offset, last - offset)
            self._sum[:, target : target + last - first].addcmul_(block[:, here], signs[here])

    def result(self) -> torch.Tensor:
        """See `projection.Accumulator`."""
        return self._sum
