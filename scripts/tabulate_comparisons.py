"""Compare benchmark scores with finetuning on the whole pool, and with random selection.

Reads benchmark_scores.csv and the scores of its questions (<run>/<task>.parquet); writes the
relative performance of every seed, its mean over seeds and its difference from random selection,
with 95 % intervals over seeds and questions.
"""

import argparse
import json
import logging
from pathlib import Path

from vlselect.core import log
from vlselect.tables import contrasts, declarations
from vlselect.tables.comparison_with_random import comparison_with_random
from vlselect.tables.relative_performance import (
    merge_groups,
    relative_by_seed,
    relative_performance,
)

logger = logging.getLogger(__name__)
TABLES = ("relative_by_seed", "relative_performance", "comparison_with_random")


def build_parser() -> argparse.ArgumentParser:
    epilog = "".join(
        f"columns of {table}.csv:\n{declarations.describe(table)}\n" for table in TABLES
    )
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path, required=True, help="benchmark_scores.csv")
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of that stage")
    parser.add_argument("--runs", nargs="+", required=True, help="paths of the runs in the table")
    declarations.add_budgets_argument(parser)
    parser.add_argument(
        "--groups",
        type=json.loads,
        default={},
        help="JSON object: subtask to its benchmark",
    )
    for out, table in zip(("seeds", "relative", "comparison"), TABLES, strict=True):
        parser.add_argument(f"--out-{out}", type=Path, required=True, help=f"{table}.csv")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    scores = declarations.read_table(args.scores, "benchmark_scores")
    by_seed = relative_by_seed(merge_groups(scores, args.groups))
    declarations.write_table(by_seed, "relative_by_seed", args.out_seeds)
    read = contrasts.unit_score_reader(
        args.benchmarks, args.runs, declarations.read_shares(args.budgets)
    )
    of_models = contrasts.by_model(scores, args.groups, read)
    performance = relative_performance(by_seed, of_models)
    declarations.write_table(performance, "relative_performance", args.out_relative)
    for row in performance[performance["task"] == declarations.MEAN].to_dict("records"):
        logger.info("%(model)s %(method)s %(ratio)s: score %(score).2f, %(relative).2f %%", row)
    compared = comparison_with_random(by_seed, of_models)
    declarations.write_table(compared, "comparison_with_random", args.out_comparison)
    for row in compared.to_dict("records"):
        logger.info("%(model)s %(method)s %(ratio)s: %(difference)+.2f vs random, %(verdict)s", row)


if __name__ == "__main__":
    main()
