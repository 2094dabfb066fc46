"""Score every sample of the pool by one method, for all ratios: row, score."""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.core import log, registry, store
from vlselect.core.errors import InputError
from vlselect.core.refused import accepted, naming, spread
from vlselect.pool.samples import Samples
from vlselect.subsets import signals

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    signals.add_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="Parquet: row, score")
    return parser


def score(args: argparse.Namespace, pool: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Run the method: float32 scores (N,), NaN for no score, and the rows of refused samples.

    The method sees the other samples only. Errors name the method.
    """
    method = registry.load("method", args.method)  # before its libraries' threads are limited
    if not hasattr(method, "score"):
        raise InputError(f"method {args.method!r} has no scores")
    n_pool = len(pool)
    given = signals.read_signals(args.signal, args.tables, n_pool, args.task_samples)
    refused = signals.refused_rows(given)
    kept = accepted(n_pool, refused)
    if len(refused):
        pool, given = signals.restrict(pool, given, kept)
    with threadpool_limits(args.threads):
        scores = method.score(pool, given, args.seed, **json.loads(args.parameters))
    scores = np.asarray(scores, dtype=np.float32)
    if scores.shape != (len(pool),) or np.isinf(scores).any():
        raise InputError(
            f"method {args.method!r} returned scores of shape {scores.shape}, not ({len(pool)},), "
            f"{int(np.isinf(scores).sum())} of them infinite"
        )
    return spread(scores, kept, n_pool, np.nan), refused


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    pool = signals.read_pool(Samples(args.samples))
    with log.timed(f"scores by {args.method}"):
        scores, refused = score(args, pool)
    logger.info(
        "%s: %d samples, %d without a score, %d of them refused by a model, seed %d",
        *(args.method, len(pool), int(np.isnan(scores).sum()), len(refused), args.seed),
    )
    frame = pd.DataFrame({"row": np.arange(len(pool), dtype=np.int64), "score": scores})
    store.write_parquet(naming(frame, refused), args.out)


if __name__ == "__main__":
    main()
