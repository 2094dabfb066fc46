"""Tabulate the votes of the tasks: their number, their agreement, and the samples voted for.

Reads the votes, the tasks' influences, the pool with its images and the ICONS subsets; writes the
histogram of votes, the agreement of every pair of tasks, and the samples with an image that have
the most and the fewest votes, with thumbnails for a contact sheet.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core import log
from vlselect.core.refused import accepted, refused_in
from vlselect.core.store import read_parquet
from vlselect.pool import images
from vlselect.pool.image_roots import add_images_argument
from vlselect.pool.records import Record
from vlselect.pool.samples import Samples
from vlselect.pool.thumbnails import encode_thumbnail, shorten
from vlselect.tables import declarations
from vlselect.tables.task_agreement import task_agreement
from vlselect.tables.vote_extremes import extreme_rows
from vlselect.tables.votes_histogram import voters, votes_histogram

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    epilog = "".join(
        f"columns of {table}.csv:\n{declarations.describe(table)}\n"
        for table in ("votes_histogram", "task_agreement", "vote_extremes")
    )
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    add_images_argument(parser, required=True)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image accepted")
    seeded = {"action": "append", "required": True}
    about = "a seed and its votes; repeatable"
    parser.add_argument("--votes", nargs=2, metavar=("SEED", "PATH"), help=about, **seeded)
    about = "a seed and its <task>.parquet of every voting task; repeatable"
    parser.add_argument("--influence", nargs="+", metavar=("SEED", "PATH"), help=about, **seeded)
    parser.add_argument("--subsets", type=Path, required=True, help="folder of that stage")
    parser.add_argument("--runs", nargs="+", required=True, help="icons/<budget>_seed-<s>")
    parser.add_argument("--count", type=int, default=12, help="samples at each extreme")
    declarations.add_seeds_argument(parser)
    declarations.add_budgets_argument(parser)
    parser.add_argument("--out-histogram", type=Path, required=True)
    parser.add_argument("--out-agreement", type=Path, required=True)
    parser.add_argument("--out-extremes", type=Path, required=True)
    return parser


def first_exchange(record: Record) -> dict[str, str]:
    """Return the first question and answer of a conversation, shortened for a table."""
    texts = {turn.role: turn.text for turn in reversed(record.turns)}
    question = texts.get("user", "").replace("<image>", " ")
    return {"question": shorten(question), "answer": shorten(texts.get("assistant", ""))}


def extremes(args: argparse.Namespace, votes: pd.DataFrame) -> list[dict]:
    """Return the rows of ``vote_extremes.csv`` of one seed."""
    samples = Samples(args.samples)
    has_image = samples.frame(columns=["n_images"])["n_images"].to_numpy() > 0
    has_image[refused_in([votes])] = False
    counts = votes["votes"].to_numpy(np.int64)
    chosen = extreme_rows(counts, votes["mean_rank"].to_numpy(), has_image, args.count)
    rows = []
    for extreme, members in zip(("most", "least"), chosen, strict=True):
        records = samples.records(members)
        for position, (row, record) in enumerate(zip(members, records, strict=True), start=1):
            image = images.load_all(args.images, record, args.max_pixels)[0]
            place = {"extreme": extreme, "position": position, "row": int(row)}
            sample = {"sample_id": record.sample_id, "source": record.source}
            seen = {"votes": int(counts[row]), "thumbnail": encode_thumbnail(image)}
            rows.append(place | sample | seen | first_exchange(record))
    return rows


def histogram(args: argparse.Namespace, votes: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of ``votes_histogram.csv``: each subset with the votes of its seed."""
    shares, parts = declarations.read_shares(args.budgets), []
    for name, seed in zip(args.runs, args.seeds, strict=True):
        rows = read_parquet(args.subsets / f"{name}.parquet")["row"].to_numpy()
        counts = votes[seed]["votes"].to_numpy(np.int64)
        n_tasks = len(voters(votes[seed]))
        run = declarations.Run.parse(name, shares)
        parts.append(votes_histogram(counts, n_tasks, {run: rows}))
    return pd.concat(parts, ignore_index=True)


def pairs(votes: pd.DataFrame, paths: list[str]) -> pd.DataFrame:
    """Return the rows of ``task_agreement.csv`` of one seed."""
    influence = {Path(path).stem: read_parquet(path)["influence"] for path in paths}
    kept = accepted(len(votes), refused_in([votes]))
    return task_agreement(pd.DataFrame(influence)[voters(votes)].iloc[kept], votes.iloc[kept])


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    votes = {seed: read_parquet(path) for seed, path in args.votes}
    for seed, table in votes.items():
        tasks = voters(table)
        logger.info("seed %s: %d samples, voting: %s", seed, len(table), ", ".join(tasks))
    declarations.write_table(histogram(args, votes), "votes_histogram", args.out_histogram)
    parts = [pairs(votes[seed], paths).assign(seed=seed) for seed, *paths in args.influence]
    declarations.write_table(pd.concat(parts), "task_agreement", args.out_agreement)
    rows = [{"seed": seed} | row for seed, table in votes.items() for row in extremes(args, table)]
    declarations.write_table(rows, "vote_extremes", args.out_extremes)


if __name__ == "__main__":
    main()
