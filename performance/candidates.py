"""Projections that the pipeline does not have, measured beside those that it has.

Both take the blocks of a stream, (offset, Tensor (B, size)), as the pipeline's do.
"""

import math

import torch

from vlselect.gradients.per_sample import LoraMatrix


class BlockedHadamard:
    """Random signs, a Walsh-Hadamard transform of each run of coordinates, a sum over the runs.

    The length of a run is the smallest power of two not below k; the same k random results of each
    are kept.
    """

    def __init__(self, size: int, dim: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self.length = 1 << (dim - 1).bit_length()
        self.runs = -(-size // self.length)
        self.signs = 1.0 - 2 * torch.randint(0, 2, (self.runs, self.length), generator=generator)
        self.kept = torch.randperm(self.length, generator=generator)[:dim].sort().values
        # Permute each run's results, else equal positions of two runs would always be added.
        self.turned = torch.stack(
            [torch.randperm(self.length, generator=generator) for _ in range(self.runs)]
        )
        self.scale = 1 / math.sqrt(dim)

    def project(self, vectors: torch.Tensor) -> torch.Tensor:
        """Project whole vectors: (B, p) to (B, k)."""
        padded = torch.zeros(len(vectors), self.runs * self.length)
        padded[:, : vectors.shape[1]] = vectors
        values = padded.view(len(vectors), self.runs, self.length) * self.signs
        step = 1
        while step < self.length:
            pairs = values.view(len(vectors), self.runs, -1, 2, step)
            values = torch.stack([pairs[..., 0, :] + pairs[..., 1, :],
                                  pairs[..., 0, :] - pairs[..., 1, :]], dim=-2)  # fmt: skip
            step *= 2
        values = values.view(len(vectors), self.runs, self.length)
        total = sum(values[:, run, self.turned[run]] for run in range(self.runs))
        return total[:, self.kept] * self.scale


class Kronecker:
    """A dense Rademacher projection of each matrix's wide side; the narrow one is kept.

    With more tokens in a sample than the rank, projecting the matrix costs less than projecting
    activations and output gradients and multiplying those, so it is done here.
    """

    def __init__(self, matrices: list[LoraMatrix], dim: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self.dim, self.parts = dim, []
        for matrix in matrices:
            shape = tuple(matrix.layer.weight.shape)
            wide, rank = max(shape), min(shape)
            signs = 1.0 - 2 * torch.randint(0, 2, (wide, dim // rank), generator=generator)
            own = 1.0 - 2 * torch.randint(0, 2, (rank, 1), generator=generator)
            mixed = torch.randperm(dim, generator=generator)
            self.parts.append((matrix.offset, shape, signs / math.sqrt(dim // rank), own, mixed))

    def project(self, vectors: torch.Tensor) -> torch.Tensor:
        """Project whole vectors: (B, p) to (B, k)."""
        total = torch.zeros(len(vectors), self.dim)
        for offset, shape, signs, own, mixed in self.parts:
            block = vectors[:, offset : offset + shape[0] * shape[1]].view(-1, *shape)
            block = block.transpose(1, 2) if shape[0] > shape[1] else block  # (B, rank, wide)
            total += ((block @ signs) * own).flatten(1)[:, mixed]
        return total
