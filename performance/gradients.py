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


def main(argv: list[str] | None = None) -> None:
    """Run the programs one after the other; --short only checks that they work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="the tiny model and a few samples")
    parser.add_argument("--out", type=Path, default=models.RESULTS)
    arguments = parser.parse_args(argv)
    out = ["--out", str(arguments.out)]
    if arguments.short:
        few = ["--models", "tiny", "--samples", "8", "--rounds", "1"]
        per_sample_gradients.main([*out, *few])
        projections.main([*out, *few, "--dims", "64", "--seeds", "1"])
        end_to_end.main([*out, *few, "--dim", "64"])
        waiting.main([*out, *few, "--samples", "130"])
        kept_memory.main([*out, *few])
        small = ["--layers", "1", "--samples", "2", "--tokens", "16", "--rounds", "1"]
        beside_bergson.main([*out, *small])
    else:
        per_sample_gradients.main(out)
        projections.main(out)
        end_to_end.main(out)
        waiting.main([*out, "--models", "tiny"])  # the larger model keeps the processor busy
        kept_memory.main(out)
        beside_bergson.main(out)
    plot_gradients.main([str(arguments.out)])


if __name__ == "__main__":
    main()
