"""Tabulate the benchmark scores and the performance relative to the whole pool.

Reads ``<benchmarks>/<run>/<task>.json`` of every run; writes the table of scores, the relative
performance of every seed, its mean over seeds with a 95 % interval, and its difference from random
selection.
"""

import argparse
import json
import logging
from pathlib import Path

from vlselect import comparison, log, relative, tables

logger = logging.getLogger(__name__)
TABLES = (
    *("benchmark_scores", "relative_by_seed"),
    *("relative_performance", "comparison_with_random"),
)


def build_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    epilog = "".join(f"columns of {table}.csv:\n{tables.describe(table)}\n" for table in TABLES)
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of that stage")
    parser.add_argument(
        "--runs",
        nargs="+",
        required=True,
        help="model/method/<budget>_seed-<s>, or a method that has no model; in table order",
    )
    parser.add_argument("--tasks", nargs="+", required=True, help="tasks, in table order")
    parser.add_argument(
        "--groups",
        type=json.loads,
        default={},
        help="JSON object: subtask to the benchmark that it is a part of",
    )
    tables.add_budgets_argument(parser)
    parser.add_argument("--out-scores", type=Path, required=True, help="benchmark_scores.csv")
    parser.add_argument("--out-seeds", type=Path, required=True, help="relative_by_seed.csv")
    parser.add_argument("--out-relative", type=Path, required=True, help="relative_performance.csv")
    parser.add_argument(
        "--out-comparison", type=Path, required=True, help="comparison_with_random.csv"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Write the four tables."""
    args = build_parser().parse_args(argv)
    log.start()
    shares = tables.read_shares(args.budgets)
    scores = relative.benchmark_scores(args.benchmarks, args.runs, args.tasks, shares)
    logger.info("%d scores of %d runs on %d tasks", len(scores), len(args.runs), len(args.tasks))
    tables.write_table(scores, "benchmark_scores", args.out_scores)
    by_seed = relative.relative_by_seed(relative.merge_groups(scores, args.groups))
    tables.write_table(by_seed, "relative_by_seed", args.out_seeds)
    performance = relative.relative_performance(by_seed)
    tables.write_table(performance, "relative_performance", args.out_relative)
    for row in performance[performance["task"] == tables.MEAN].to_dict("records"):
        logger.info("%(model)s %(method)s %(ratio)s: score %(score).2f, %(relative).2f %%", row)
    compared = comparison.comparison_with_random(by_seed)
    tables.write_table(compared, "comparison_with_random", args.out_comparison)
    for row in compared.to_dict("records"):
        logger.info("%(model)s %(method)s %(ratio)s: %(difference)+.2f vs random, %(verdict)s", row)


if __name__ == "__main__":
    main()
