"""Extract how far responses look at their images and the neurons they drive, for one pool shard.

One forward pass for each sample with an image, up to the last layer that is read. The rows of other
samples are zero.
"""

import argparse
import gc
import logging
from collections.abc import Sequence
from functools import partial

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np

from vlselect.core import log
from vlselect.features.shard_pass import Kind, ShardPass, add_pass_arguments
from vlselect.features.signatures import KINDS, STORED, extract_signatures, signature_layers
from vlselect.models.layers import outward_projection

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_pass_arguments(parser, *KINDS)
    about = "decoder layers, counted from 0; by default chosen by depth"
    parser.add_argument("--layers", type=int, nargs="+", help=about)
    parser.set_defaults(attention="eager")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    run = ShardPass(arguments, __file__)
    model, decoder = run.model.model, run.model.language_layers
    layers = signature_layers(len(decoder), arguments.layers)
    logger.info("layers %s of %d", layers, len(decoder))
    stored = min(STORED, outward_projection(decoder[layers[0]]).in_features)
    widths = {"bridging": 1, "neurons": len(layers) * stored}
    kinds = {kind: Kind(widths[kind], dtype, {"layers": layers}) for kind, dtype in KINDS.items()}
    with run.writing("signatures", kinds) as (writers, rows):
        rows = np.array(rows, dtype=np.int64)
        pictured = run.n_images[rows] > 0
        for writer in writers.values():
            writer.write(
                rows[~pictured] - run.rows.start, np.zeros((sum(~pictured), writer.shape[1]))
            )
        extract = partial(extract_signatures, model, decoder, layers=layers, faults=run.faults)
        trial = run.trial(extract, run.pictured)
        for batch in run.batches(rows[pictured].tolist(), "signatures", trial=trial):
            values = extract(batch)
            run.write(writers, batch.rows, values, batch.sample_ids)


if __name__ == "__main__":
    main()
