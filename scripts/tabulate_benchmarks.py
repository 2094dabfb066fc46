"""Tabulate the benchmark scores: a row for each ``<benchmarks>/<run>/<task>.json``."""

import argparse
import logging
from pathlib import Path

from vlselect.core import log
from vlselect.tables import declarations
from vlselect.tables.benchmark_scores import benchmark_scores

logger = logging.getLogger(__name__)
TABLE = "benchmark_scores"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"columns of {TABLE}.csv:\n{declarations.describe(TABLE)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of that stage")
    parser.add_argument(
        "--runs",
        nargs="+",
        required=True,
        help="model/method/<budget>_seed-<s>, or a method without a model; in table order",
    )
    parser.add_argument("--tasks", nargs="+", required=True, help="tasks, in table order")
    declarations.add_budgets_argument(parser)
    parser.add_argument("--out", type=Path, required=True, help=f"{TABLE}.csv")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    shares = declarations.read_shares(args.budgets)
    scores = benchmark_scores(args.benchmarks, args.runs, args.tasks, shares)
    logger.info("%d scores of %d runs on %d tasks", len(scores), len(args.runs), len(args.tasks))
    declarations.write_table(scores, TABLE, args.out)


if __name__ == "__main__":
    main()
