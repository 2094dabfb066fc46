"""Tabulate the composition of the subsets, and their overlap.

Reads the pool and ``<subsets>/<run>.parquet`` of every run; writes the share of each source in
each subset, and the overlap of every pair of methods at the same ratio and seed.
"""

import argparse
import logging
from pathlib import Path

from vlselect.core import log
from vlselect.pool.samples import Samples
from vlselect.tables import declarations
from vlselect.tables.subset_composition import read_subsets, subset_composition
from vlselect.tables.subset_overlap import subset_overlap

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    epilog = "".join(
        f"columns of {table}.csv:\n{declarations.describe(table)}\n"
        for table in ("subset_composition", "subset_overlap")
    )
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument("--subsets", type=Path, required=True, help="folder of that stage")
    parser.add_argument(
        "--runs", nargs="+", required=True, help="method/<budget>_seed-<s>, in table order"
    )
    declarations.add_budgets_argument(parser)
    parser.add_argument("--out-composition", type=Path, required=True)
    parser.add_argument("--out-overlap", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    sources = Samples(args.samples).frame(columns=["source"])["source"].tolist()
    shares = declarations.read_shares(args.budgets)
    subsets = read_subsets(args.subsets, args.runs, shares)
    logger.info("%d subsets of a pool of %d samples", len(subsets), len(sources))
    content = subset_composition(sources, subsets)
    declarations.write_table(content, "subset_composition", args.out_composition)
    overlap = subset_overlap(len(sources), subsets)
    declarations.write_table(overlap, "subset_overlap", args.out_overlap)


if __name__ == "__main__":
    main()
