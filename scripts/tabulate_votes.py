"""Tabulate the votes of the tasks: how many, how alike, and for which samples.

Reads the votes, the tasks' influences, the pool with its images and the ICONS subsets; writes
the histogram of votes, the agreement of every pair of tasks, and the image samples with the most
and the fewest votes (with a thumbnail, so that a contact sheet can be drawn from the table).
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect import agreement, images, log, tables
from vlselect.image_roots import add_images_argument
from vlselect.records import Record
from vlselect.samples import Samples
from vlselect.thumbnails import encode_thumbnail, shorten

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    epilog = "".join(
        f"columns of {table}.csv:\n{tables.describe(table)}\n"
        for table in ("votes_histogram", "task_agreement", "vote_extremes")
    )
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    add_images_argument(parser, required=True)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image accepted")
    parser.add_argument("--votes", type=Path, required=True, help="votes.parquet")
    parser.add_argument(
        "--influence", type=Path, nargs="+", required=True, help="<task>.parquet of every voter"
    )
    parser.add_argument("--subsets", type=Path, required=True, help="folder of that stage")
    parser.add_argument("--runs", nargs="+", required=True, help="icons/<budget>_seed-<s>")
    parser.add_argument("--count", type=int, default=12, help="samples at either extreme")
    tables.add_budgets_argument(parser)
    parser.add_argument("--out-histogram", type=Path, required=True)
    parser.add_argument("--out-agreement", type=Path, required=True)
    parser.add_argument("--out-extremes", type=Path, required=True)
    return parser


def first_exchange(record: Record) -> dict[str, str]:
    """The first question and the first answer of a conversation, short enough for a table."""
    texts = {turn.role: turn.text for turn in reversed(record.turns)}
    question = texts.get("user", "").replace("<image>", " ")
    return {"question": shorten(question), "answer": shorten(texts.get("assistant", ""))}


def extremes(args: argparse.Namespace, votes: pd.DataFrame) -> list[dict]:
    """Rows of ``vote_extremes.csv``."""
    samples = Samples(args.samples)
    has_image = samples.frame(columns=["n_images"])["n_images"].to_numpy() > 0
    counts = votes["votes"].to_numpy(np.int64)
    chosen = agreement.extreme_rows(counts, votes["mean_rank"].to_numpy(), has_image, args.count)
    rows = []
    for extreme, members in zip(("most", "least"), chosen, strict=True):
        records = samples.records(members)
        for position, (row, record) in enumerate(zip(members, records, strict=True), start=1):
            image = images.load(args.images, record.images[0], args.max_pixels)
            place = {"extreme": extreme, "position": position, "row": int(row)}
            sample = {"sample_id": record.sample_id, "source": record.source}
            seen = {"votes": int(counts[row]), "thumbnail": encode_thumbnail(image)}
            rows.append(place | sample | seen | first_exchange(record))
    return rows


def main(argv: list[str] | None = None) -> None:
    """Write the three tables."""
    args = build_parser().parse_args(argv)
    log.start()
    votes = pd.read_parquet(args.votes)
    tasks = agreement.voters(votes)
    logger.info("%d samples, %d voting tasks: %s", len(votes), len(tasks), ", ".join(tasks))
    shares = tables.read_shares(args.budgets)
    subsets = {
        tables.Run.parse(run, shares): pd.read_parquet(args.subsets / f"{run}.parquet")[
            "row"
        ].to_numpy()
        for run in args.runs
    }
    histogram = agreement.votes_histogram(votes["votes"].to_numpy(np.int64), len(tasks), subsets)
    tables.write_table(histogram, "votes_histogram", args.out_histogram)
    influence = {path.stem: pd.read_parquet(path)["influence"] for path in args.influence}
    pairs = agreement.task_agreement(pd.DataFrame(influence)[tasks], votes)
    tables.write_table(pairs, "task_agreement", args.out_agreement)
    tables.write_table(extremes(args, votes), "vote_extremes", args.out_extremes)


if __name__ == "__main__":
    main()
