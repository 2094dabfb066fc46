"""Choose a subset of the pool by one method, ratio and seed.

Writes the chosen records exactly as they came in, one on a line, in pool order, and beside them a
Parquet table of their rows, ids, ranks and scores.
"""

import argparse
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect import budget, log, signals, store
from vlselect.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    signals.add_arguments(parser)
    parser.add_argument("--ratio", required=True, help="share of the pool to choose, in (0, 1]")
    parser.add_argument("--out-records", type=Path, required=True, help="JSON list of records")
    parser.add_argument("--out-rows", type=Path, required=True, help="Parquet: rows, ranks, scores")
    return parser


def choose(args: argparse.Namespace, pool: pd.DataFrame, n_chosen: int) -> budget.Selection:
    """Run the method and check that it keeps its contract; errors name the method."""
    method = signals.load_method(args.method)  # before the threads of what it loads are limited
    given = signals.read_signals(args.signal, args.tables, len(pool))
    with threadpool_limits(args.threads):
        selection = method.select(pool, given, n_chosen, args.seed, **json.loads(args.parameters))
    if not isinstance(selection, budget.Selection):
        raise TypeError(f"method {args.method!r} gave a {type(selection).__name__}, no Selection")
    try:
        selection.check(n_chosen, len(pool))
    except ValueError as error:
        raise ValueError(f"method {args.method!r}: {error}") from error
    return selection


def chosen_table(pool: pd.DataFrame, selection: budget.Selection) -> pd.DataFrame:
    """Columns row, sample_id, rank (1 is the best) and score of the chosen, in pool order."""
    table = pool.loc[selection.rows, ["row", "sample_id"]].astype({"row": "int64"})
    table["rank"] = range(1, len(table) + 1)
    table["score"] = selection.scores
    return table.sort_values("row", ignore_index=True)


def write_records(records: Iterable[str], path: Path) -> None:
    """Write records that are JSON already as a JSON list, each on its own line, as they come."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        separator = "[\n"
        for record in records:
            file.write(f"{separator}{record}")
            separator = ",\n"
        file.write("\n]\n")


def main(argv: list[str] | None = None) -> None:
    """Choose and write one subset."""
    args = build_parser().parse_args(argv)
    log.start()
    samples = Samples(args.samples)
    pool = signals.read_pool(samples)
    n_chosen = budget.size(len(pool), args.ratio)
    logger.info(
        "%s: %d of %d samples, seed %d, parameters %s",
        *(args.method, n_chosen, len(pool), args.seed, args.parameters),
    )
    with log.timed(f"selection by {args.method}"):
        table = chosen_table(pool, choose(args, pool, n_chosen))
    with store.replacing(args.out_records) as records, store.replacing(args.out_rows) as rows:
        write_records(samples.raw(table["row"].to_numpy()), records)
        store.write_parquet(table, rows)


if __name__ == "__main__":
    main()
