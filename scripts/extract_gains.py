"""Extract how much the image helps a model to predict each response, for one pool shard.

One forward pass for each sample, and one more, without the image, for each that has one.
"""

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from vlselect.core import log, store
from vlselect.core.refused import read_left_out
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.forward_pass import require_images, shard_header, token_width
from vlselect.features.gains import COLUMNS, KINDS, extract_gains
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.models import loading, vlm
from vlselect.models.batching import batches
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, required=True, help=f"shard of {kind} to write")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    return parser


def shard_writers(
    arguments: argparse.Namespace, rows: range, model: vlm.VLM
) -> dict[str, store.ShardWriter]:
    """Return the writer of each kind's shard, with its width and header."""
    widths = {"gains": len(COLUMNS), "question": token_width(model.model)}
    details = {"gains": {"columns": COLUMNS}}
    code = code_digest(imported_sources(__file__))
    writers = {}
    for kind, dtype in KINDS.items():
        header = shard_header(arguments.run, rows, model, code, kind=kind, **details.get(kind, {}))
        shape = (len(rows), widths[kind])
        writers[kind] = store.ShardWriter(getattr(arguments, kind), shape, dtype, header)
    return writers


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    samples = Samples(arguments.samples)
    rows = store.shard_rows(len(samples), arguments.shard)
    n_images = samples.frame(["n_images"])["n_images"].to_numpy()
    left_out = read_left_out(arguments.left_out)
    model = loading.load_from_arguments(arguments)
    logger.info("rows %d:%d of %d", rows.start, rows.stop, len(samples))
    faults: dict[str, str] = {}
    with ExitStack() as stack, log.timed("gains"):
        writers = shard_writers(arguments, rows, model)
        for writer in writers.values():
            stack.enter_context(writer)
        kept = rows_to_run(rows, left_out, writers.values())
        for batch in batches(
            *(model, samples, kept, arguments.images),
            max_pixels=arguments.max_pixels,
            description="gains",
        ):
            require_images(batch, n_images[batch.rows])
            values = extract_gains(model.model, batch, faults=faults)
            write_batch(writers, batch.rows - rows.start, values, batch.sample_ids, faults)
        settle(faults, arguments.on_refused)


if __name__ == "__main__":
    main()
