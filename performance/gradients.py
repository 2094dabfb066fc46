"""Measure gradients, projections, the whole job, waiting, memory, bergson; draw the figure."""

import argparse
from pathlib import Path

import beside_bergson
import end_to_end
import kept_memory
import per_sample_gradients
import plot_gradients
import projections
import waiting

import models

PARTS = {
    "per_sample_gradients": per_sample_gradients,
    "projections": projections,
    "end_to_end": end_to_end,
    "waiting": waiting,
    "kept_memory": kept_memory,
    "beside_bergson": beside_bergson,
}
LONG = {"waiting": ["--models", "tiny"]}  # the larger model keeps the processor busy
FEW = ["--models", "tiny", "--samples", "8", "--rounds", "1"]
SHORT = {
    **dict.fromkeys(PARTS, FEW),
    "projections": [*FEW, "--dims", "64", "--seeds", "1"],
    "end_to_end": [*FEW, "--dim", "64"],
    "waiting": [*FEW, "--samples", "130"],
    "beside_bergson": ["--layers", "1", "--samples", "2", "--tokens", "16", "--rounds", "1"],
}


def main(argv: list[str] | None = None) -> None:
    """Run the programs one after the other; --short only checks that they work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="the tiny model and a few samples")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=models.RESULTS)
    arguments = parser.parse_args(argv)
    flags = SHORT if arguments.short else LONG
    for part in arguments.parts:
        PARTS[part].main(["--out", str(arguments.out), *flags.get(part, [])])
    plot_gradients.main([str(arguments.out)])


if __name__ == "__main__":
    main()
