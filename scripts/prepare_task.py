"""Check the validation and test records of one task, with answers and possibly choices.

Writes a table for each split: empty for a split that is not given; a given one without an accepted
record is an error. Validation records need a response, since gradients are computed on it; test
records may end with the question.
"""

import argparse
import logging
import math
from functools import partial
from pathlib import Path

from vlselect.config.record_files import SPLITS, image_location
from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.pool.folder_root import FOLLOW_LINKS
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.intake import Tally, examine, read_location
from vlselect.pool.records import parse_task_record
from vlselect.pool.samples import REJECTED, TASK_SCHEMA, RejectionWriter, SamplesWriter
from vlselect.pool.trial_choice import choose, places

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task, for messages")
    for split in SPLITS:
        parser.add_argument(f"--{split}", nargs="?", help=f"{split} records, if any")
        parser.add_argument(f"--out-{split}", type=Path, required=True, help="Parquet to write")
    where = "folder, tars or tables of images; by default each split's own table"
    parser.add_argument("--images", nargs="?", help=where)
    what = "links out of a folder of images to follow: those in it, or those behind them too"
    parser.add_argument("--follow-links", choices=FOLLOW_LINKS, help=what)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image accepted")
    parser.add_argument("--source-key", nargs="?", help="key of a record that names its source")
    what = "this share of each split only, rounded up, each source in its share; absent: all"
    parser.add_argument("--share", type=float, nargs="?", help=what)
    parser.add_argument("--workers", type=int, default=1, help="threads that decode images")
    parser.add_argument("--rejected", type=Path, required=True, help="CSV to write")
    return parser


def prepare_split(
    args: argparse.Namespace, split: str, samples: SamplesWriter, rejected: RejectionWriter
) -> None:
    """Write one split's samples and rejections."""
    path = getattr(args, split)
    location = args.images or image_location(path)
    roots = ImageRoots({None: location}, args.follow_links)
    roots.require()
    parse = partial(
        parse_task_record,
        source_key=args.source_key,
        require_response=split == "validation",
        locate=roots.locator(None, path),
    )
    limits = {"max_pixels": args.max_pixels, "workers": args.workers, "repeated_ids": "reject"}
    tally = Tally()
    records = read_location(path, location)
    if args.share is not None:
        taken, _ = choose(places(records, parse), lambda n: math.ceil(args.share * n))
        records = (r for r in read_location(path, location) if (None, r[0]) in taken)
    for outcome in examine(records, parse, roots, **limits):
        tally.add(outcome)
        if outcome.rejection is None:
            samples.write(outcome.record, outcome.raw)
        else:
            reason = outcome.rejection
            rejected.write(
                *(split, outcome.position, outcome.sample_id, reason.reason, reason.detail)
            )
    logger.info("%s, %s: %s", args.task, split, tally.describe())
    if not tally.accepted:
        problem = f"no {split} record of task {args.task!r} was accepted"
        raise InputError(f"{path}: {problem}: {tally.describe()}")


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    with (
        log.timed(f"task {args.task}"),
        SamplesWriter(args.out_validation, TASK_SCHEMA) as validation,
        SamplesWriter(args.out_test, TASK_SCHEMA) as test,
        RejectionWriter(args.rejected, ("split", *REJECTED)) as rejected,
    ):
        for split, samples in zip(SPLITS, (validation, test), strict=True):
            if getattr(args, split) is None:
                logger.info("%s, %s: not given, so the table is empty", args.task, split)
            else:
                prepare_split(args, split, samples, rejected)


if __name__ == "__main__":
    main()
