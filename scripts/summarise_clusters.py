"""Compute the size, transferability and density of each cluster."""

import argparse
import json
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.clusters.density import VARIANTS, density
from vlselect.clusters.transferability import transferability
from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.store import read_parquet

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--activations", nargs="+", required=True, help="all shards of the pool's activations"
    )
    parser.add_argument("--assignments", type=Path, required=True, help="Parquet: row, cluster")
    parser.add_argument("--centroids", type=Path, required=True, help="safetensors")
    parser.add_argument("--variant", choices=VARIANTS, required=True)
    parser.add_argument(
        "--max-cosine",
        type=float,
        required=True,
        help="released variant: closer pairs do not count",
    )
    parser.add_argument("--sigma", type=float, required=True, help="bandwidth of the kernel")
    parser.add_argument(
        "--threads", type=int, required=True, help="results depend on it in the last bits"
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet: a row for each cluster")
    return parser


def read_members(path: Path, n_rows: int, n_clusters: int) -> list[np.ndarray]:
    """Read the rows of each cluster, ascending; InputError if they do not match the arrays.

    Refused samples are in no cluster: theirs is -1.
    """
    frame = read_parquet(path)
    if not np.array_equal(frame["row"], np.arange(n_rows)):
        raise InputError(f"{path} does not hold rows 0 to {n_rows - 1} in order")
    cluster = frame["cluster"].to_numpy()
    sizes = np.bincount(cluster[cluster >= 0], minlength=n_clusters)
    if len(sizes) > n_clusters or not sizes.all():
        raise InputError(
            f"{path} and {n_clusters} centroids do not match: every cluster needs a sample"
        )
    order = np.argsort(cluster, kind="stable")[(cluster < 0).sum() :]
    return np.split(order, np.cumsum(sizes)[:-1])


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    activations = store.ShardedArray(args.activations)
    centroids = store.ShardedArray([args.centroids])
    layers = len(json.loads(activations.only("layers")))
    members = read_members(args.assignments, len(activations), len(centroids))
    logger.info(
        "%d x %d activations of %d layers, %d clusters, variant %s",
        *activations.shape, layers, len(members), args.variant,
    )  # fmt: skip
    with threadpool_limits(args.threads):
        with log.timed("transferability"):
            s = transferability(centroids[:], layers, args.variant, args.max_cosine)
        with log.timed("density"):
            # By `map`, which holds no cluster while the next ones are read, a gigabyte together.
            of_each = partial(density, variant=args.variant, sigma=args.sigma)
            found = map(of_each, activations.groups(members))
            d = list(log.progress(found, len(members), "density"))
    summary = {
        "cluster": np.arange(len(members), dtype=np.int32),
        "size": [len(rows) for rows in members],
        "transferability": s,
        "density": d,
    }
    store.write_parquet(pd.DataFrame(summary), args.out)


if __name__ == "__main__":
    main()
