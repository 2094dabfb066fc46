"""Extract how far responses look at their images and the neurons they drive, for one pool shard.

One forward pass for each sample with an image, up to the last layer that is read. The rows of other
samples are zero.
"""

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from vlselect.core import log, store
from vlselect.core.refused import read_left_out
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.forward_pass import require_images, shard_header
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.features.signatures import KINDS, STORED, extract_signatures, signature_layers
from vlselect.models import loading, vlm
from vlselect.models.batching import batches
from vlselect.models.layers import outward_projection
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    about = "decoder layers, counted from 0; by default chosen by depth"
    parser.add_argument("--layers", type=int, nargs="+", help=about)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, required=True, help=f"shard of {kind} to write")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    parser.set_defaults(attention="eager")
    return parser


def shard_writers(
    arguments: argparse.Namespace, rows: range, model: vlm.VLM, layers: Sequence[int]
) -> dict[str, store.ShardWriter]:
    """Return the writer of each kind's shard, with its width and header."""
    width = outward_projection(model.language_layers[layers[0]]).in_features
    widths = {"bridging": 1, "neurons": len(layers) * min(STORED, width)}
    code = code_digest(imported_sources(__file__))
    writers = {}
    for kind, dtype in KINDS.items():
        header = shard_header(arguments.run, rows, model, code, kind=kind, layers=layers)
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
    depth = len(model.language_layers)
    layers = signature_layers(depth, arguments.layers)
    logger.info("rows %d:%d of %d", rows.start, rows.stop, len(samples))
    logger.info("layers %s of %d", layers, depth)
    faults: dict[str, str] = {}
    with ExitStack() as stack, log.timed("signatures"):
        writers = shard_writers(arguments, rows, model, layers)
        for writer in writers.values():
            stack.enter_context(writer)
        kept = np.array(rows_to_run(rows, left_out, writers.values()), dtype=np.int64)
        without = kept[n_images[kept] == 0] - rows.start
        for writer in writers.values():
            writer.write(without, np.zeros((len(without), writer.shape[1])))
        for batch in batches(
            *(model, samples, kept[n_images[kept] > 0].tolist(), arguments.images),
            max_pixels=arguments.max_pixels,
            description="signatures",
        ):
            require_images(batch, n_images[batch.rows])
            values = extract_signatures(
                *(model.model, model.language_layers, batch), layers=layers, faults=faults
            )
            write_batch(writers, batch.rows - rows.start, values, batch.sample_ids, faults)
        settle(faults, arguments.on_refused)


if __name__ == "__main__":
    main()
