"""Judge every record of the pool: accept it as a sample, or reject it and say why.

Writes the samples in the records' order, the rejected records with their reasons, and counts;
accepted + rejected = read. Fails where the file cannot be read or no record is accepted.
"""

import argparse
import logging
from functools import partial
from pathlib import Path

from vlselect import log, store
from vlselect.images import require_root
from vlselect.intake import Tally, examine
from vlselect.json_stream import read_records
from vlselect.records import parse_record
from vlselect.samples import RejectionWriter, SamplesWriter

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True, help="LLaVA or ShareGPT records")
    parser.add_argument("--images", type=Path, required=True, help="root of the image paths")
    parser.add_argument("--max-pixels", type=int, default=50_000_000, help="largest image accepted")
    parser.add_argument("--source-key", nargs="?", help="key of a record that names its source")
    parser.add_argument("--workers", type=int, default=1, help="threads that decode images")
    parser.add_argument("--samples", type=Path, required=True, help="Parquet to write")
    parser.add_argument("--rejected", type=Path, required=True, help="CSV to write")
    parser.add_argument("--summary", type=Path, required=True, help="JSON of counts to write")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Write the three files."""
    args = build_parser().parse_args(argv)
    log.start()
    require_root(args.images)
    tally = Tally()
    outcomes = examine(
        read_records(args.records),
        partial(parse_record, source_key=args.source_key),
        args.images,
        max_pixels=args.max_pixels,
        workers=args.workers,
    )
    with (
        log.timed("pool"),
        SamplesWriter(args.samples) as samples,
        RejectionWriter(args.rejected) as rejected,
    ):
        for outcome in log.progress(outcomes, description="records"):
            tally.add(outcome)
            if outcome.rejection is None:
                samples.write(outcome.record, outcome.raw)
            else:
                reason = outcome.rejection
                rejected.write(outcome.position, outcome.sample_id, reason.reason, reason.detail)
        logger.info("%s", tally.describe())
        if not tally.accepted:
            raise ValueError(f"{args.records}: no record is fit to use: {tally.describe()}")
    store.write_json(tally.summary(), args.summary)


if __name__ == "__main__":
    main()
