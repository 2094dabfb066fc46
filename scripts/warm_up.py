"""Warm up a model on a random fraction of the pool: a LoRA adapter, or all of its weights.

Writes the checkpoint (safetensors), training_log.csv, and rows.csv with the samples used.
"""

import argparse
import gc
import logging
from collections.abc import Sequence

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np
import pandas as pd

from vlselect.checkpoints.training_job import (
    add_training_arguments,
    read_settings,
    start_logging,
    train_and_save,
)
from vlselect.core import ordering
from vlselect.core.refused import accepted, read_left_out
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_training_arguments(parser)
    parser.add_argument("--fraction", type=float, required=True, help="of the pool, in (0, 1]")
    parser.add_argument(
        "--second-moments", action="store_true", help="save AdamW's, for gradients.precondition"
    )
    return parser


def draw_rows(sample_ids: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Draw round(fraction · N) rows, int64, ascending."""
    count = ordering.size(len(sample_ids), fraction)
    return np.sort(ordering.draw(sample_ids, count, seed, "warm_up"))


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    start_logging()
    settings = read_settings(arguments)
    samples = Samples(arguments.samples)
    pool = samples.frame(["row", "sample_id", "source"])
    left_out = read_left_out(arguments.left_out)
    logger.info("seed %d, %s", arguments.seed, settings)

    def draw(refused: np.ndarray) -> np.ndarray:
        kept = accepted(len(pool), np.union1d(left_out, refused))
        ids = pool["sample_id"].to_numpy(object)[kept].tolist()
        rows = kept[draw_rows(ids, arguments.fraction, arguments.seed)]
        logger.info("%d of %d samples", len(rows), len(samples))
        return rows

    def tables(rows: np.ndarray) -> dict[str, pd.DataFrame]:
        return {"rows.csv": pool.iloc[rows]}

    train_and_save(
        *(samples, draw, settings, arguments, tables), second_moments=arguments.second_moments
    )


if __name__ == "__main__":
    main()
