"""Extract CLIP embeddings of each sample's images and text, for one pool shard.

Samples without an image (`n_images` of the pool) have zeros in the first half. Texts are cut off at
the number of positions of the text tower.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vlselect.core import log, store
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.clip import CLIP, extract_clip
from vlselect.features.forward_pass import shard_header
from vlselect.models import loading
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    parser.add_argument("--clip", type=Path, required=True, help="shard to write")
    loading.add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    samples = Samples(arguments.samples)
    rows = store.shard_rows(len(samples), arguments.shard)
    clip = CLIP.load(arguments)
    fixed = {"kind": "clip", "layout": "image, text", "text_only": "zeros"}
    code = code_digest(imported_sources(__file__))
    header = shard_header(arguments.run, rows, clip, code, max_length=clip.max_length, **fixed)
    shape = (len(rows), 2 * clip.width)
    logger.info("rows %d:%d of %d", rows.start, rows.stop, len(samples))
    with (
        log.timed("clip embeddings"),
        store.ShardWriter(arguments.clip, shape, np.float16, header) as writer,
    ):
        for block, values in extract_clip(
            *(clip, samples, rows, arguments.images), max_pixels=arguments.max_pixels
        ):
            writer.write(block - rows.start, values)
    logger.info("wrote clip %s", shape)


if __name__ == "__main__":
    main()
