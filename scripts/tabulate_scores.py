"""Tabulate the spread of score-based methods' scores within each source of the pool.

Reads the pool, each method's scores and ``<subsets>/<run>.parquet`` of its runs; writes quantiles
of the scores by source, and the share of each source that the subsets hold.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from vlselect.core import log
from vlselect.core.store import read_parquet
from vlselect.pool.samples import Samples
from vlselect.tables import declarations
from vlselect.tables.score_distribution import score_distribution
from vlselect.tables.subset_composition import read_subsets

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"columns of score_distribution.csv:\n{declarations.describe('score_distribution')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument(
        "--scores",
        nargs=3,
        action="append",
        required=True,
        metavar=("METHOD", "SEED", "PATH"),
        help="a method, a seed and its Parquet of row and score; repeatable, in table order",
    )
    parser.add_argument("--subsets", type=Path, required=True, help="folder of that stage")
    parser.add_argument(
        "--runs", nargs="+", required=True, help="method/<budget>_seed-<s> of those methods"
    )
    declarations.add_seeds_argument(parser)
    declarations.add_budgets_argument(parser)
    parser.add_argument("--out", type=Path, required=True, help="score_distribution.csv")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    sources = Samples(args.samples).frame(columns=["source"])["source"].tolist()
    shares = declarations.read_shares(args.budgets)
    subsets = read_subsets(args.subsets, args.runs, shares)
    by = dict(zip(subsets, args.seeds, strict=True))
    parts = []
    for method, seed, path in args.scores:
        scores = read_parquet(path).sort_values("row")["score"].to_numpy()
        own = {run: rows for run, rows in subsets.items() if by[run] == seed}
        parts.append(score_distribution(sources, method, scores, own).assign(seed=seed))
        logger.info("%s, seed %s: %d scores, %d rows", method, seed, len(scores), len(parts[-1]))
    declarations.write_table(pd.concat(parts, ignore_index=True), "score_distribution", args.out)


if __name__ == "__main__":
    main()
