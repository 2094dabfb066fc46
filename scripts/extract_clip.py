"""Extract CLIP embeddings of each sample's images and text, for one pool shard.

Samples without an image (`n_images` of the pool) have zeros in the first half. Texts are cut off at
the number of positions of the text tower.
"""

import argparse
import gc
from collections.abc import Sequence

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np

from vlselect.core import log
from vlselect.features.clip import CLIP, extract_clip
from vlselect.features.shard_pass import Kind, ShardPass, add_pass_arguments


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_pass_arguments(parser, "clip")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    run = ShardPass(arguments, __file__, CLIP.load)
    clip, sample_ids = run.model, run.samples.frame(["sample_id"])["sample_id"].to_numpy(object)
    about = {"layout": "image, text", "text_only": "zeros", "max_length": clip.max_length}
    kinds = {"clip": Kind(2 * clip.width, np.float16, about)}
    with run.writing("clip embeddings", kinds) as (writers, rows):
        for block, values in extract_clip(
            *(clip, run.samples, rows, arguments.images),
            max_pixels=arguments.max_pixels,
            faults=run.faults,
        ):
            run.write(writers, block, {"clip": values}, sample_ids[block].tolist())


if __name__ == "__main__":
    main()
