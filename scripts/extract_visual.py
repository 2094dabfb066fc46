"""Extract the mean of each sample's visual tokens after an early decoder layer, for one pool shard.

The forward pass stops there. Samples without an image (`n_images` of the pool) have no visual
tokens: their rows are zero.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vlselect.core import log, store
from vlselect.core.refused import read_left_out
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.forward_pass import require_images, shard_header, token_width
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.features.visual import extract_visual
from vlselect.models import loading
from vlselect.models.batching import batches
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    parser.add_argument("--layer", type=int, required=True, help="decoder layer, counted from 1")
    parser.add_argument("--visual", type=Path, required=True, help="shard to write")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    samples, layer = Samples(arguments.samples), arguments.layer
    rows = store.shard_rows(len(samples), arguments.shard)
    n_images = samples.frame(["n_images"])["n_images"].to_numpy()
    left_out = read_left_out(arguments.left_out)
    model = loading.load_from_arguments(arguments)
    code = code_digest(imported_sources(__file__))
    about = {"kind": "visual", "layer": layer, "text_only": "zeros"}
    header = shard_header(arguments.run, rows, model, code, **about)
    shape = (len(rows), token_width(model.model))
    without_image = int(np.sum(n_images[rows.start : rows.stop] == 0))
    logger.info("rows %d:%d of %d", rows.start, rows.stop, len(samples))
    logger.info("%d of them without an image: rows of zeros", without_image)
    faults: dict[str, str] = {}
    with (
        log.timed("visual features"),
        store.ShardWriter(arguments.visual, shape, np.float16, header) as writer,
    ):
        kept = rows_to_run(rows, left_out, [writer])
        for batch in batches(
            *(model, samples, kept, arguments.images),
            max_pixels=arguments.max_pixels,
            description="visual features",
        ):
            require_images(batch, n_images[batch.rows])
            values = extract_visual(
                model.model, model.language_layers, batch, layer=layer, faults=faults
            )
            places, own = batch.rows - rows.start, {"visual": values}
            write_batch({"visual": writer}, places, own, batch.sample_ids, faults)
        settle(faults, arguments.on_refused)
    logger.info("wrote visual %s after layer %d", shape, layer)


if __name__ == "__main__":
    main()
