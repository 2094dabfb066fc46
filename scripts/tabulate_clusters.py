"""Tabulate the clusters and the number of samples of each in the COINCIDE subsets.

Reads the clusters' assignments and summary and the COINCIDE subsets; writes each cluster's
transferability, density, share of the budget and number of chosen samples for every subset.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core import log
from vlselect.core.store import read_parquet
from vlselect.methods.maths.allocation import log_probabilities
from vlselect.tables import declarations

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"columns of clusters.csv:\n{declarations.describe('clusters')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    seeded = {"nargs": 2, "action": "append", "required": True, "metavar": ("SEED", "PATH")}
    parser.add_argument("--assignments", help="row, cluster, distance; for each seed", **seeded)
    parser.add_argument("--summary", help="a row for each cluster; for each seed", **seeded)
    parser.add_argument("--temperature", type=float, required=True, help="of the allocation")
    parser.add_argument("--subsets", type=Path, required=True, help="folder of that stage")
    parser.add_argument("--runs", nargs="+", required=True, help="coincide/<budget>_seed-<s>")
    declarations.add_seeds_argument(parser)
    declarations.add_budgets_argument(parser)
    parser.add_argument("--out", type=Path, required=True, help="clusters.csv")
    return parser


def read_summary(path: str, temperature: float) -> pd.DataFrame:
    """Read the clusters in their order, with the probability of each."""
    summary = read_parquet(path).sort_values("cluster", ignore_index=True)
    summary["probability"] = np.exp(
        log_probabilities(summary["transferability"], summary["density"], temperature)
    )
    return summary


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    summaries = {seed: read_summary(path, args.temperature) for seed, path in args.summary}
    assigned = {
        seed: read_parquet(path).sort_values("row")["cluster"].to_numpy()
        for seed, path in args.assignments
    }
    parts, shares = [], declarations.read_shares(args.budgets)
    for name, seed in zip(args.runs, args.seeds, strict=True):
        run, summary = declarations.Run.parse(name, shares), summaries[seed]
        chosen = read_parquet(args.subsets / f"{name}.parquet")["row"].to_numpy()
        counts = pd.Series(assigned[seed][chosen]).value_counts()
        allocated = counts.reindex(summary["cluster"], fill_value=0).to_numpy(np.int64)
        logger.info("%s: samples from %d of %d clusters", name, (allocated > 0).sum(), len(summary))
        parts.append(summary.assign(ratio=run.ratio, seed=run.seed, allocated=allocated))
    columns = list(declarations.TABLES["clusters"])
    declarations.write_table(pd.concat(parts, ignore_index=True)[columns], "clusters", args.out)


if __name__ == "__main__":
    main()
