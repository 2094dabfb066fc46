"""Extract the visual features that each sample's instruction attends to, for one pool shard.

The forward pass stops after the decoder layer used. Samples without an image (`n_images` of the
pool) have no such features: their rows are zero.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vlselect.core import log, store
from vlselect.core.refused import read_left_out
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.attended import INSTRUCTIONS, UNATTENDED, extract_attended, instruction_rows
from vlselect.features.forward_pass import require_images, shard_header, token_width
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.models import loading
from vlselect.models.batching import batches
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    about = "tokens whose attention counts: all but responses and images, or the user's words"
    parser.add_argument("--instruction", choices=INSTRUCTIONS, required=True, help=about)
    parser.add_argument("--layer", type=int, required=True, help="decoder layer, counted from 1")
    parser.add_argument(
        "--mass",
        type=float,
        required=True,
        help="share of attention that the chosen tokens have to exceed",
    )
    parser.add_argument("--attended", type=Path, required=True, help="shard to write")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    parser.set_defaults(attention="eager")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    samples = Samples(arguments.samples)
    rows = store.shard_rows(len(samples), arguments.shard)
    n_images = samples.frame(["n_images"])["n_images"].to_numpy()
    left_out = read_left_out(arguments.left_out)
    model = loading.load_from_arguments(arguments)
    parameters = {"layer": arguments.layer, "mass": arguments.mass}
    fixed = {"kind": "attended", "instruction": arguments.instruction}
    fixed |= {"text_only": "zeros", "unattended": UNATTENDED}
    code = code_digest(imported_sources(__file__))
    header = shard_header(arguments.run, rows, model, code, **parameters, **fixed)
    shape = (len(rows), token_width(model.model))
    without_image = int(np.sum(n_images[rows.start : rows.stop] == 0))
    logger.info("rows %d:%d of %d", rows.start, rows.stop, len(samples))
    logger.info("%d of them without an image: rows of zeros", without_image)
    blind, faults = [], {}
    with (
        log.timed("attended features"),
        store.ShardWriter(arguments.attended, shape, np.float16, header) as writer,
    ):
        kept = rows_to_run(rows, left_out, [writer])
        for batch in batches(
            *(model, samples, kept, arguments.images),
            max_pixels=arguments.max_pixels,
            description="attended features",
        ):
            require_images(batch, n_images[batch.rows])
            attending = instruction_rows(batch, arguments.instruction, model.special)
            values, unattended = extract_attended(
                *(model.model, model.language_layers, batch, attending),
                **parameters,
                faults=faults,
            )
            places, own = batch.rows - rows.start, {"attended": values}
            write_batch({"attended": writer}, places, own, batch.sample_ids, faults)
            blind += unattended
        settle(faults, arguments.on_refused)
    logger.info("wrote attended %s, parameters %s", shape, parameters)
    if blind:
        warn(blind)


def warn(blind: Sequence[str]) -> None:
    """Name the samples whose instruction precedes the image."""
    logger.warning(
        "in %d samples no instruction token can see the image, which comes after it; "
        "used the %s: %s ...",
        *(len(blind), UNATTENDED, ", ".join(blind[:5])),
    )


if __name__ == "__main__":
    main()
