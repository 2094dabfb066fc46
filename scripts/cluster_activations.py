"""Cluster the pool's activations by spherical k-means; assign every sample to its nearest centroid.

Writes a Parquet table (row, cluster, distance = 1 - cosine to the own centroid) and the centroids.
Empty clusters are dropped and the others renumbered; collapsed clusters are an error.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.clusters import kmeans
from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.refused import naming, spread, without_refused
from vlselect.core.sources import code_digest, imported_sources

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--activations", nargs="+", required=True, help="all shards of the pool's activations"
    )
    parser.add_argument(
        "--n-clusters", type=int, help="K; by default one for every 66.5 samples of the pool"
    )
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument(
        "--points-per-centroid",
        type=int,
        required=True,
        help="training samples: at most K times this",
    )
    parser.add_argument(
        "--memory-gb",
        type=float,
        required=True,
        help="and at most as many as fit in this as float16",
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--device", choices=kmeans.DEVICES, required=True)
    parser.add_argument("--on-collapse", choices=("error", "warn"), required=True)
    parser.add_argument(
        "--threads", type=int, required=True, help="results depend on it in the last bits"
    )
    parser.add_argument("--out-assignments", type=Path, required=True, help="Parquet")
    parser.add_argument("--out-centroids", type=Path, required=True, help="safetensors")
    return parser


def judge(seen: kmeans.Examination, on_collapse: str) -> None:
    """Log the results of the examination; collapse is an error, or a warning with `warn`."""
    logger.info(
        "lowest cosine of centroids %.4f, largest 1%% of clusters hold %.1f%% of samples",
        seen.lowest_cosine, 100 * seen.top_share,
    )  # fmt: skip
    if seen.twins:
        logger.warning("%d clusters have the same centroid as another", seen.twins)
    if seen.empty:
        logger.warning("%d clusters are empty and left out", seen.empty)
    if seen.collapse:
        message = f"the clusters have collapsed: {'; '.join(seen.collapse)}"
        if on_collapse == "error":
            advice = "choose another number of clusters, other layers, or on_collapse: warn"
            raise InputError(f"{message}; {advice}")
        logger.warning(message)


def centroid_header(
    args: argparse.Namespace, activations: store.ShardedArray, seen: kmeans.Examination,
    asked: int, trained: int,
) -> dict[str, str]:  # fmt: skip
    """Return the header of the centroids: settings, origin of the activations, and problems."""
    header = {"rows": f"0:{asked - seen.empty}", "requested": str(asked), "empty": str(seen.empty)}
    header |= {"training_rows": str(trained), "collapse": "; ".join(seen.collapse)}
    header |= {key: str(getattr(args, key)) for key in ("seed", "iterations", "device")}
    for key in ("run", "model", "revision", "layers", "variant"):
        if key in activations.metadata[0]:
            header[key] = activations.only(key)
    return header | {"code": code_digest(imported_sources(Path(__file__)))}


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    whole = store.ShardedArray(args.activations)
    array, kept = without_refused(whole)
    n, width = array.shape
    asked = args.n_clusters or kmeans.default_count(n)
    rows = kmeans.training_rows(
        n, width, asked, args.points_per_centroid, args.memory_gb, args.seed
    )
    logger.info(
        "%d x %d activations, %d for training, %d clusters, seed %d, %s, %d threads",
        n, width, len(rows), asked, args.seed, args.device, args.threads,
    )  # fmt: skip
    with threadpool_limits(args.threads):
        with log.timed("k-means"):
            sample = array[rows]
            kmeans.require_finite(sample, kept[rows])
            centroids = kmeans.train(sample, asked, args.iterations, args.seed, args.device)
            del sample
        with log.timed("assignment"):
            cluster, distance = kmeans.assign(array, centroids, args.device)
        sizes = np.bincount(cluster, minlength=asked)
        seen = kmeans.examine(centroids, sizes)
    judge(seen, args.on_collapse)
    centroids, cluster = kmeans.drop_empty(centroids, cluster, sizes)
    header = centroid_header(args, array, seen, asked, len(rows))
    with store.ShardWriter(args.out_centroids, centroids.shape, np.float32, header) as writer:
        writer.write(slice(None), centroids)
    columns = {"cluster": spread(cluster, kept, len(whole), -1)}
    columns |= {"distance": spread(distance, kept, len(whole), np.nan)}
    frame = pd.DataFrame({"row": np.arange(len(whole)), **columns})
    store.write_parquet(naming(frame, whole.refused), args.out_assignments)


if __name__ == "__main__":
    main()
