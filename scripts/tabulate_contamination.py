"""Count the validation and test records that the pool has copies of, and tests' in validation sets.

The log names every copy.
"""

import argparse
import logging
from pathlib import Path

from vlselect.core import log, store
from vlselect.pool import contamination
from vlselect.pool.image_roots import add_images_argument
from vlselect.pool.samples import Samples
from vlselect.tables import contamination as table
from vlselect.tables import declarations

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"columns of contamination.csv:\n{declarations.describe('contamination')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    add_images_argument(parser, required=True)
    contamination.add_held_out_argument(parser)
    parser.add_argument("--out", type=Path, required=True, help="contamination.csv")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    samples, pool = Samples(args.samples), contamination.Overlap(table.POOL)
    digest = contamination.image_digests(args.images)
    with log.timed("contamination"):
        held_out = contamination.read_held_out(args.held_out)
        records = contamination.read_records(samples)
        for record in log.progress(records, len(samples), "records"):
            pool.add(record.sample_id, held_out.copied(record, digest))
        rows = table.contamination(held_out.sizes, [pool, *held_out.overlaps()])
    with store.replacing(args.out) as path:
        table.write(rows, path)
    found = table.sentences(rows)
    logger.info("%d samples: %s", len(samples), "; ".join(found) or "no copies")


if __name__ == "__main__":
    main()
