"""Cluster the pool's samples by their features, for methods that share a budget among clusters.

Writes a Parquet table: row, cluster, distance (1 - cosine to the centroid). The clusters do not
depend on the order of the pool.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.prototypes import nearest_prototype
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
    about = "JSON: arguments of prototypes.nearest_prototype"
    parser.add_argument("--parameters", required=True, help=about)
    parser.add_argument("--threads", type=int, required=True, help="results depend on it")
    parser.add_argument("--seed", type=int, required=True, help="of the k-means")
    parser.add_argument("--out", type=Path, required=True, help="Parquet table")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    ids = Samples(args.samples).frame(["sample_id"])["sample_id"].to_numpy(object)
    features = store.ShardedArray(args.features)
    array, kept = without_refused(features)
    embeddings = Embeddings(array, ids[kept], normalise=True)
    logger.info("features %s, parameters %s, seed %d", array.shape, args.parameters, args.seed)
    with threadpool_limits(args.threads), log.timed("k-means"):
        cluster, distance = nearest_prototype(
            embeddings, seed=args.seed, **json.loads(args.parameters)
        )
    own = {"cluster": (cluster, -1), "distance": (distance, np.nan)}
    columns = {
        name: spread(values[embeddings.places], kept, len(features), missing)
        for name, (values, missing) in own.items()
    }
    frame = pd.DataFrame({"row": np.arange(len(features)), **columns})
    store.write_parquet(naming(frame, features.refused), args.out)


if __name__ == "__main__":
    main()
