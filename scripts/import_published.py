"""Convert a published table of results to the tables of a cached run.

Reads a CSV with a row for each method (one of them `full`) and a column for each benchmark, in the
unit that it was published in; optionally columns `ratio` and `seed`, a column of stated relative
performance to check the computed one against, and a CSV of costs (level, method, ratio, and hours
of wall-clock time or device_hours).
Writes the tables that the figures of performance and cost need. A config of two lines then draws
them: `run: <name>` and `cached: true`.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from vlselect.core import log
from vlselect.core.errors import naming_file
from vlselect.tables import contrasts, declarations
from vlselect.tables.comparison_with_random import comparison_with_random
from vlselect.tables.published_tables import check_means, published_cost, published_scores
from vlselect.tables.relative_performance import relative_by_seed, relative_performance

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path, required=True, help="the published table, CSV")
    parser.add_argument("--model", required=True, help="name of the finetuned model")
    parser.add_argument("--ratio", required=True, help="ratio of rows without one, such as 0.2")
    parser.add_argument("--stated", help="column of stated relative performance, in %%")
    parser.add_argument(
        "--tolerance", type=float, default=0.1, help="largest difference from it, in points"
    )
    parser.add_argument("--hours", type=Path, help="published costs, CSV")
    parser.add_argument("--out", type=Path, required=True, help="results/<run>/tables")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    with naming_file(args.scores):
        wide = pd.read_csv(args.scores, dtype=str, keep_default_na=False)
    stated = wide.pop(args.stated).astype(float) if args.stated else None
    scores = published_scores(wide, args.model, args.ratio)
    by_seed = relative_by_seed(scores)
    of_models = contrasts.by_model(scores)
    performance = relative_performance(by_seed, of_models)
    if stated is not None:
        check_means(performance, stated.tolist(), args.tolerance)
        logger.info("relative performance as stated, to ±%g, for all rows", args.tolerance)
    compared = comparison_with_random(by_seed, of_models)
    written = {
        "benchmark_scores": scores,
        "relative_by_seed": by_seed,
        "relative_performance": performance,
        "comparison_with_random": compared,
    }
    if args.hours:
        with naming_file(args.hours):
            hours = pd.read_csv(args.hours, dtype=str, keep_default_na=False)
        written["cost"] = published_cost(hours, args.model)
    for table, frame in written.items():
        declarations.write_table(frame, table, args.out / f"{table}.csv")
        logger.info("%s: %d rows", args.out / f"{table}.csv", len(frame))


if __name__ == "__main__":
    main()
