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
from vlselect.core.refused import read_left_out
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.clip import CLIP, extract_clip
from vlselect.features.forward_pass import shard_header
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.models import loading
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    parser.add_argument("--clip", type=Path, required=True, help="shard to write")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    samples = Samples(arguments.samples)
    rows = store.shard_rows(len(samples), arguments.shard)
    sample_ids = samples.frame(["sample_id"])["sample_id"].to_numpy(object)
    left_out, faults = read_left_out(arguments.left_out), {}
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
        kept = rows_to_run(rows, left_out, [writer])
        for block, values in extract_clip(
            *(clip, samples, kept, arguments.images),
            max_pixels=arguments.max_pixels,
            faults=faults,
        ):
            places, own = block - rows.start, {"clip": values}
            write_batch({"clip": writer}, places, own, sample_ids[block].tolist(), faults)
        settle(faults, arguments.on_refused)
    logger.info("wrote clip %s", shape)


if __name__ == "__main__":
    main()
