"""Extract one hidden vector for each sample: of a pool shard, or of validation sets.

A part is a set of samples with its image root and becomes one shard file. The model is loaded once
for all parts. Rows have unit length and are stored as float16.
"""

import argparse
import logging
from collections.abc import Sequence

import numpy as np

from vlselect.core import log, store
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.forward_pass import shard_header, token_width
from vlselect.features.parts import Part, add_part_arguments, left_out_of, read_parts
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.features.weighted_hidden import POSITIONS, extract_hidden
from vlselect.gradients import fingerprint
from vlselect.models import loading, vlm
from vlselect.models.batching import batches
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_part_arguments(parser)
    about = "tokens whose hidden states are averaged"
    parser.add_argument("--positions", choices=POSITIONS, required=True, help=about)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image allowed")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    return parser


def write_shard(
    arguments: argparse.Namespace,
    part: Part,
    model: vlm.VLM,
    code: str,
) -> None:
    """Run the model on one part and write its shard."""
    name, samples_path, images, out = part
    left_out = left_out_of(arguments, part)
    samples = Samples(samples_path)
    rows = store.shard_rows(len(samples), arguments.shard)
    about = {"kind": "hidden", "part": name, "positions": arguments.positions}
    about[fingerprint.KEY] = fingerprint.encode({"type": "none"})
    header = shard_header(arguments.run, rows, model, code, **about)
    logger.info("%s: rows %d:%d of %d", name, rows.start, rows.stop, len(samples))
    faults: dict[str, str] = {}
    shape = (len(rows), token_width(model.model))
    with (
        log.timed(f"hidden states of {name}"),
        store.ShardWriter(out, shape, np.float16, header) as writer,
    ):
        kept = rows_to_run(rows, left_out, [writer])
        for batch in batches(
            *(model, samples, kept, images),
            max_pixels=arguments.max_pixels,
            description="hidden states",
        ):
            values = extract_hidden(
                model.model, batch, positions=arguments.positions, faults=faults
            )
            places, own = batch.rows - rows.start, {"hidden": values}
            write_batch({"hidden": writer}, places, own, batch.sample_ids, faults)
        settle(faults, arguments.on_refused)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    parts = read_parts(arguments)
    model = loading.load_from_arguments(arguments)
    code = code_digest(imported_sources(__file__))
    for part in parts:
        write_shard(arguments, part, model, code)


if __name__ == "__main__":
    main()
