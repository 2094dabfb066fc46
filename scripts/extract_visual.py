"""Extract the mean of each sample's visual tokens after an early decoder layer, for one pool shard.

The forward pass stops there. Samples without an image (`n_images` of the pool) have no visual
tokens: their rows are zero.
"""

import argparse
import gc
from collections.abc import Sequence

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np

from vlselect.core import log
from vlselect.features.forward_pass import token_width
from vlselect.features.shard_pass import Kind, ShardPass, add_pass_arguments
from vlselect.features.visual import extract_visual
from vlselect.models.vlm import Batch


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_pass_arguments(parser, "visual")
    parser.add_argument("--layer", type=int, required=True, help="decoder layer, counted from 1")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    run, layer = ShardPass(arguments, __file__), arguments.layer
    model, decoder = run.model.model, run.model.language_layers

    def extract(batch: Batch) -> dict[str, np.ndarray]:
        return {"visual": extract_visual(model, decoder, batch, layer=layer, faults=run.faults)}

    about = {"layer": layer, "text_only": "zeros"}
    kinds = {"visual": Kind(token_width(model), np.float16, about)}
    run.run("visual features", kinds, extract)


if __name__ == "__main__":
    main()
