"""Extract one vector for each sample, to compare samples: of a pool shard, or of validation sets.

A part is a set of samples with its image root and becomes one shard file. The model is loaded once
for all parts. Rows have unit length and are stored as float16.
"""

import argparse
import gc
import logging
from collections.abc import Sequence

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np

from vlselect.core import log, store
from vlselect.core.shard_files import shard_rows
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.forward_pass import shard_header, to_finite
from vlselect.features.parts import Part, add_part_arguments, left_out_of, read_parts
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.features.weighted_hidden import POSITIONS
from vlselect.gradients import fingerprint
from vlselect.gradients.representation import KINDS, Representation, represent, representation
from vlselect.models import loading, vlm
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_part_arguments(parser)
    about = "hidden states, averaged; or gradients of the output layer"
    parser.add_argument("--kind", choices=KINDS, required=True, help=about)
    about = "tokens whose states are averaged; hidden needs it"
    parser.add_argument("--positions", choices=POSITIONS, help=about)
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
    found: Representation,
) -> None:
    """Run the model on one part and write its shard."""
    name, samples_path, images, out = part
    left_out = left_out_of(arguments, part)
    samples = Samples(samples_path)
    rows = shard_rows(len(samples), arguments.shard)
    kind = arguments.kind
    about = {"positions": arguments.positions} if kind == "hidden" else {}
    about |= {"part": name, "samples": samples.digest}
    about |= {fingerprint.KEY: fingerprint.encode(found.projection)}
    header = shard_header(arguments.run, rows, model, code, kind=kind, **about)
    logger.info("%s: rows %d:%d of %d", name, rows.start, rows.stop, len(samples))
    faults: dict[str, str] = {}
    with (
        log.timed(f"{kind} of {name}"),
        store.ShardWriter(out, (len(rows), found.width), np.float16, header) as writer,
    ):
        kept = rows_to_run(rows, left_out, [writer])
        for batch, _, vectors in represent(
            *(model, samples, kept, images, found.run), max_pixels=arguments.max_pixels
        ):
            own = {kind: to_finite(vectors, np.float16, kind, batch.sample_ids, faults)}
            write_batch({kind: writer}, batch.rows - rows.start, own, batch.sample_ids, faults)
        settle(faults, arguments.on_refused)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    parts = read_parts(arguments)
    model = loading.load_from_arguments(arguments)
    code = code_digest(imported_sources(__file__))
    found = representation(arguments.kind, model.model, arguments.positions)
    for part in parts:
        write_shard(arguments, part, model, code, found)


if __name__ == "__main__":
    main()
