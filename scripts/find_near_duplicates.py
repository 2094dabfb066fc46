"""Find near-duplicates: pairs of samples of the pool whose features have a high cosine.

Writes a Parquet table: row_a, row_b (row_a < row_b, ascending) and cosine. Its metadata (pandas
attributes) has the measured share of the pairs that were found.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.clusters import near_duplicates
from vlselect.clusters.embeddings import Embeddings
from vlselect.core import log, store
from vlselect.core.refused import without_refused
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument(
        "--features", nargs="+", required=True, help="all shards of the pool's features"
    )
    parser.add_argument(
        "--cosine", type=float, required=True, help="lowest cosine of near-duplicates"
    )
    parser.add_argument("--n-probe", type=int, required=True, help="lists searched for each sample")
    parser.add_argument("--memory-gb", type=float, required=True, help="for building the lists")
    about = "auto: all pairs up to 100,000 samples, else inverted lists"
    parser.add_argument("--index", choices=["auto", "exact", "ivf"], default="auto", help=about)
    parser.add_argument("--threads", type=int, required=True, help="results depend on it")
    parser.add_argument("--out", type=Path, required=True, help="Parquet table")
    return parser


def pair_table(rows: np.ndarray, cosines: np.ndarray) -> pd.DataFrame:
    """Return columns row_a, row_b and cosine of pairs of rows, (m, 2), in ascending order."""
    rows = np.sort(rows, axis=1)
    columns = {"row_a": rows[:, 0], "row_b": rows[:, 1], "cosine": cosines}
    return pd.DataFrame(columns).sort_values(["row_a", "row_b"], ignore_index=True)


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    ids = Samples(args.samples).frame(["sample_id"])["sample_id"].to_numpy(object)
    array, kept = without_refused(store.ShardedArray(args.features))
    embeddings = Embeddings(array, ids[kept], normalise=True)
    settings = {"index": args.index, "n_lists": None, "n_probe": args.n_probe}
    settings |= {"memory_gb": args.memory_gb, "seed": 0}
    with threadpool_limits(args.threads), log.timed("near-duplicates"):
        places, cosines, recall = near_duplicates.find_pairs(embeddings, args.cosine, **settings)
    table = pair_table(kept[embeddings.rows[places]], cosines)
    table.attrs = {"cosine": args.cosine, "recall": recall}
    touched = len(np.unique(table[["row_a", "row_b"]]))
    logger.info("%d of %d samples have a near-duplicate", touched, len(ids))
    store.write_parquet(table, args.out)


if __name__ == "__main__":
    main()
