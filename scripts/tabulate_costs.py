"""Tabulate the cost of the jobs: by rule, and by method for selection and finetuning.

Reads Snakemake's benchmark files in ``<costs>``. Where these are missing (results copied without
them), the row stays, with 0 jobs and empty numbers.
"""

import argparse
import json
import logging
from pathlib import Path

from vlselect.core import log
from vlselect.tables import declarations
from vlselect.tables.cost import method_rows, rule_rows

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"columns of cost.csv:\n{declarations.describe('cost')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--costs", type=Path, required=True, help="folder of the benchmark files")
    parser.add_argument(
        "--selections",
        type=json.loads,
        required=True,
        help="JSON list of [subsets, benchmark files behind each of them]",
    )
    parser.add_argument(
        "--runs", nargs="+", required=True, help="model/method/<budget>_seed-<s>, in table order"
    )
    parser.add_argument(
        "--finetuning", default="finetune_model", help="name of the finetuning rule"
    )
    declarations.add_budgets_argument(parser)
    parser.add_argument("--out", type=Path, required=True, help="cost.csv")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    shares = declarations.read_shares(args.budgets)
    runs = [declarations.Run.parse(run, shares) for run in args.runs]
    behind = {subset: files for subsets, files in args.selections for subset in subsets}
    rows = method_rows(args.costs, behind, runs, args.finetuning)
    rows += rule_rows(args.costs)
    table = declarations.write_table(rows, "cost", args.out)
    unmeasured = int((table["jobs"] == 0).sum())
    logger.info("%d rows, %d of them without a measurement", len(table), unmeasured)


if __name__ == "__main__":
    main()
