"""Projection of per-sample gradients: time and distortion, compared with the backward pass.

Distortion: inner products of real gradients, each divided by its norm, of every two samples,
projected against unprojected; mean over seeds. Time: of one batch, whose gradients arrive in the
blocks of the stream where the projection takes them so. `trak` projects 16 samples at a time, like
the released programs.
"""

import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from candidates import BlockedHadamard, Kronecker
from clocks import in_turns, write_table
from references import exact, require_exact
from trak.projectors import BasicProjector, ProjectionType

from models import Subject, options, subjects
from vlselect.gradients import projection
from vlselect.gradients.per_sample import LoraMatrix, PerSampleGradients
from vlselect.models.batching import by_length
from vlselect.models.collation import Batch

SIZES = {"tiny": 500, "larger": 24}
DIMS = (512, 1024, 5120)
KINDS = ("trak rademacher", "sjlt", "sjlt, 1 nonzero", "shifted", "blocked hadamard", "kronecker")
INTERVAL = 16  # gradients projected at a time by the released programs
COLUMNS = 100  # part of the random matrix that BasicProjector makes at a time; its default

Blocks = list[tuple[int, torch.Tensor]]


def projector(
    kind: str, matrices: list[LoraMatrix], dim: int, seed: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a projection of whole vectors, (B, p) to (B, k)."""
    size = matrices[-1].offset + matrices[-1].layer.weight.numel()
    if kind == "trak rademacher":
        options = {"device": torch.device("cpu"), "block_size": COLUMNS}
        basic = BasicProjector(size, dim, seed, ProjectionType.rademacher, **options)
        return lambda vectors: basic.project(vectors, model_id=0) / dim**0.5
    if kind == "blocked hadamard":
        return BlockedHadamard(size, dim, seed).project
    if kind == "kronecker":
        return Kronecker(matrices, dim, seed).project
    return partial(projection.project, ours(kind, size, dim, seed))


def ours(kind: str, size: int, dim: int, seed: int) -> projection.Projection:
    """Return a projection of the pipeline."""
    nonzeros = 1 if "1 nonzero" in kind else 3
    where = {"device": torch.device("cpu"), "seed": seed, "implementation": "auto"}
    return projection.make(kind.partition(",")[0], size=size, dim=dim, nonzeros=nonzeros, **where)


def streamed(phi: projection.Projection, blocks: Blocks) -> torch.Tensor:
    """Project the blocks of a batch as they arrive."""
    accumulator = phi.begin(len(blocks[0][1]))
    for offset, block in blocks:
        accumulator.add(offset, block)
    return accumulator.result()


def distortion(products: torch.Tensor, project: Callable, vectors: torch.Tensor) -> tuple:
    """Compute Pearson correlation and relative error of the inner products of every two samples."""
    values = project(vectors)
    found = (values @ values.T).double()
    pairs = ~torch.eye(len(vectors), dtype=torch.bool)
    a, b = products[pairs].numpy(), found[pairs].numpy()
    return float(np.corrcoef(a, b)[0, 1]), float(np.linalg.norm(a - b) / np.linalg.norm(a))


def gradients_of(subject: Subject) -> tuple[torch.Tensor, Batch]:
    """Compute exact gradients of all samples, and the pipeline's first batch of 64."""
    vlm, encoded = subject.vlm, subject.encode()
    with PerSampleGradients(vlm.model) as per_sample:
        rows = [
            per_sample.gradients(vlm.collate(chunk)) for chunk in by_length(encoded, vlm.batch_size)
        ]
    order = [sample.row for chunk in by_length(encoded, 64) for sample in chunk]
    vectors = torch.cat(rows)
    few = [0, len(encoded) // 2, len(encoded) - 1]
    expected = torch.stack([exact(vlm, encoded[order[i]]) for i in few])
    require_exact("gradients", vectors[few], expected)
    batch = vlm.collate(max(by_length(encoded[:64], vlm.batch_size), key=len))
    return vectors, batch


def measure(subject: Subject, dims: list[int], seeds: int, rounds: int) -> list[dict]:
    """Return the table's rows."""
    vectors, batch = gradients_of(subject)
    unit = F.normalize(vectors, dim=1)
    products = (unit.double() @ unit.double().T).float().double()
    blocks: Blocks = []
    per_sample = PerSampleGradients(subject.vlm.model)
    with per_sample:
        per_sample.stream(batch, lambda offset, block: blocks.append((offset, block.clone())))
    matrices, group = per_sample.matrices, vectors[:INTERVAL]

    def backward() -> None:
        with per_sample:
            per_sample.stream(batch, lambda offset, block: None)

    rows = []
    for dim in dims:
        timed: dict[str, Callable] = {"backward": backward}
        for kind in KINDS:
            if kind.startswith(("sjlt", "shifted")):
                timed[kind] = partial(streamed, ours(kind, vectors.shape[1], dim, 0), blocks)
            else:
                timed[kind] = partial(projector(kind, matrices, dim, 0), group)
        seconds = in_turns(timed, rounds)
        one = [value / len(batch) for value in seconds.pop("backward")]  # of a sample
        for kind in KINDS:
            together = len(batch) if kind.startswith(("sjlt", "shifted")) else len(group)
            each = [value / together for value in seconds[kind]]
            found = [
                distortion(products, projector(kind, matrices, dim, seed), unit)
                for seed in range(seeds)
            ]
            rows.append({
                "model": subject.name, "dim": dim, "projection": kind,
                "size": vectors.shape[1], "batch": together,
                "ms_per_sample": 1e3 * statistics.median(each),
                "share_of_pass": statistics.median(a / b for a, b in zip(each, one, strict=True)),
                "pearson": statistics.mean(p for p, _ in found),
                "relative_error": statistics.mean(e for _, e in found),
                "samples": len(vectors), "seeds": seeds, "rounds": rounds,
            })  # fmt: skip
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--dims", type=int, nargs="+", default=list(DIMS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args(argv)
    rows: list[dict] = []
    for subject in subjects(arguments, SIZES):
        rows += measure(subject, arguments.dims, arguments.seeds, arguments.rounds)
        write_table(arguments.out / "projection.csv", rows)


if __name__ == "__main__":
    main()
