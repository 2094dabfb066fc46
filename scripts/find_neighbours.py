"""Find the nearest neighbours of every sample of the pool by its features.

Writes a Parquet table: row, neighbour_1 to neighbour_k (rows, the nearest first) and squared_1 to
squared_k (squared Euclidean distances).
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.clusters import neighbours
from vlselect.clusters.embeddings import Embeddings
from vlselect.core import log, store
from vlselect.core.refused import naming, spread, without_refused
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument(
        "--features", nargs="+", required=True, help="all shards of the pool's features"
    )
    parser.add_argument(
        "--parameters",
        required=True,
        help="JSON: normalise, and the arguments of neighbours.nearest",
    )
    parser.add_argument("--threads", type=int, required=True, help="results depend on it")
    parser.add_argument("--out", type=Path, required=True, help="Parquet table")
    parser.add_argument("--seed", type=int, required=True, help="of inverted lists")
    return parser


def neighbour_table(
    embeddings: Embeddings, places: np.ndarray, squared: np.ndarray, kept: np.ndarray, n_pool: int
) -> pd.DataFrame:
    """Convert neighbours from places of the embeddings, (n, k), to rows of the pool.

    `kept` are the pool's rows of the embeddings. Each other row is its own neighbour.
    """
    found = np.repeat(np.arange(n_pool)[:, None], places.shape[1], axis=1)
    found[kept] = kept[embeddings.rows[places][embeddings.places]]
    distances = spread(squared[embeddings.places], kept, n_pool, 0)
    columns = {"row": np.arange(len(found), dtype=np.int64)}
    columns |= {f"neighbour_{j}": column.astype(np.int32) for j, column in enumerate(found.T, 1)}
    columns |= {f"squared_{j}": column for j, column in enumerate(distances.T, 1)}
    return pd.DataFrame(columns)


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    ids = Samples(args.samples).frame(["sample_id"])["sample_id"].to_numpy(object)
    settings = json.loads(args.parameters)
    features = store.ShardedArray(args.features)
    array, kept = without_refused(features)
    embeddings = Embeddings(array, ids[kept], normalise=settings.pop("normalise"))
    logger.info("features %s, parameters %s, seed %d", array.shape, args.parameters, args.seed)
    with threadpool_limits(args.threads), log.timed("neighbours"):
        places, squared = neighbours.nearest(embeddings, seed=args.seed, **settings)
    logger.info("squared distances: median %.4g, largest %.4g", np.median(squared), squared.max())
    table = neighbour_table(embeddings, places, squared, kept, len(features))
    store.write_parquet(naming(table, features.refused), args.out)


if __name__ == "__main__":
    main()
