"""Select a subset of the pool by one method, budget and seed, within the constraints.

Writes the chosen records verbatim in pool order, one on each line, and a Parquet table of their
rows, ids, ranks and scores; with constraints, the reason of each choice (keep, minimum or method);
for a budget in tokens, the tokens of each sample.
"""

import argparse
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core import log, registry, store
from vlselect.core.errors import InfeasibleError
from vlselect.core.refused import GATED, naming, read_left_out
from vlselect.core.selection import Selection
from vlselect.pool.samples import Samples
from vlselect.subsets import budget, signals, token_budget
from vlselect.subsets.constraints import read_constraints
from vlselect.subsets.method_runner import MethodRunner

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    signals.add_arguments(parser)
    about = "ratio-<share of the pool, in (0, 1]>, samples-<count> or tokens-<count>"
    parser.add_argument("--budget", required=True, help=about)
    about = "tables of the pool's tokens, all shards, for a budget in tokens"
    parser.add_argument("--tokens", type=Path, nargs="+", default=[], help=about)
    about = "Parquet: part, row of samples that the model which counts tokens refuses"
    parser.add_argument("--left-out", type=Path, help=about)
    about = "Parquet: row, gated of the samples that no method may choose"
    parser.add_argument("--gate", type=Path, help=about)
    parser.add_argument("--keep", type=Path, help="ids that are chosen first; see samples.read_ids")
    parser.add_argument("--exclude", type=Path, help="ids that are never chosen")
    about = "JSON: minimum, maximum, quota: source to count or share"
    parser.add_argument("--bounds", type=json.loads, default={}, help=about)
    about = "pass over ids and sources that are not in the pool: a trial"
    parser.add_argument("--part-of-pool", action="store_true", help=about)
    about = "Parquet: row_a, row_b of near-duplicates; no two are chosen, nor two equal samples"
    parser.add_argument("--duplicates", type=Path, nargs="*", help=about)
    parser.add_argument("--out-records", type=Path, required=True, help="JSON list of records")
    parser.add_argument("--out-rows", type=Path, required=True, help="Parquet: rows, ranks, scores")
    return parser


def choose(
    args: argparse.Namespace, samples: Samples, pool: pd.DataFrame, tokens: np.ndarray | None
) -> tuple[Selection, np.ndarray, np.ndarray]:
    """Fill the budget by the method; return its choice, and the rows refused and gated."""
    method = registry.load("method", args.method)  # before its libraries' threads are limited
    given = signals.read_signals(args.signal, args.tables, len(pool), args.task_samples)
    gated, unknown = signals.read_gate(args.gate, len(pool))
    refused = [signals.refused_rows(given), read_left_out(args.left_out), unknown]
    refused = np.unique(np.concatenate(refused))
    constraints = read_constraints(
        *(samples, pool, args.keep, args.exclude, args.bounds, args.duplicates),
        part_of_pool=args.part_of_pool,
        refused=refused,
        gated=gated,
    )
    gated = np.setdiff1d(gated, refused if constraints is None else [*refused, *constraints.keep])
    parameters = json.loads(args.parameters)
    barred = np.union1d(refused, gated)
    ask = MethodRunner(method, pool, given, args.seed, parameters, args.threads, barred)

    def some(n: int) -> Selection:
        if n > len(ask.rows):
            raise InfeasibleError(
                f"{n} samples are wanted, but of {len(pool)} samples {len(refused)} are refused by "
                f"models that method {args.method!r} reads{also_gated(gated)}"
            )
        return ask(ask.rows, n) if constraints is None else constraints.choose(ask, n)

    if tokens is None:
        return some(budget.samples(len(pool), args.budget)), refused, gated
    least = 1 if constraints is None else constraints.smallest()
    limit = int(budget.parse(args.budget)[1])
    return token_budget.fill(some, tokens, limit, least), refused, gated


def also_gated(gated: np.ndarray) -> str:
    """Return the end of a sentence on refused samples: how many others are gated, if any."""
    return f"; {len(gated)} are gated" if len(gated) else ""


def chosen_table(
    pool: pd.DataFrame, selection: Selection, tokens: np.ndarray | None = None
) -> pd.DataFrame:
    """Return row, sample_id, rank (1 is the best) and score of the chosen samples, in pool order.

    With constraints also reason, with a budget in tokens also tokens.
    """
    table = pool.loc[selection.rows, ["row", "sample_id"]].astype({"row": "int64"})
    table["rank"] = range(1, len(table) + 1)
    table["score"] = selection.scores
    if hasattr(selection, "reasons"):
        table["reason"] = selection.reasons
    if tokens is not None:
        table["tokens"] = tokens[selection.rows]
    return table.sort_values("row", ignore_index=True)


def write_records(records: Iterable[str], path: Path) -> None:
    """Write JSON records as a JSON list, each verbatim on its own line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        separator = "[\n"
        for record in records:
            file.write(f"{separator}{record}")
            separator = ",\n"
        file.write("\n]\n")


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    samples = Samples(args.samples)
    pool = signals.read_pool(samples)
    counted = budget.parse(args.budget)[0] == "tokens"
    tokens = token_budget.read_tokens(args.tokens, len(pool)) if counted else None
    logger.info(
        "%s: %s of %d samples, seed %d, parameters %s",
        *(args.method, args.budget, len(pool), args.seed, args.parameters),
    )
    with log.timed(f"selection by {args.method}"):
        selection, refused, gated = choose(args, samples, pool, tokens)
    table = naming(chosen_table(pool, selection, tokens), refused)
    if len(gated):
        table.attrs[GATED] = len(gated)
    what = f"refused by a model{also_gated(gated)}"
    logger.info("%d samples chosen; %d could not be: %s", len(table), len(refused), what)
    with store.replacing(args.out_records) as records, store.replacing(args.out_rows) as rows:
        write_records(samples.raw(table["row"].to_numpy()), records)
        store.write_parquet(table, rows, checksums=False)


if __name__ == "__main__":
    main()
