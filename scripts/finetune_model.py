"""Finetune the target model on one subset of the pool and save the checkpoint.

Writes the LoRA adapter (or the whole model) as safetensors, and training_log.csv.
"""

import argparse
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np

from vlselect.checkpoints.training_job import (
    add_training_arguments,
    read_settings,
    start_logging,
    train_and_save,
)
from vlselect.core.errors import InputError
from vlselect.core.refused import read_left_out
from vlselect.core.store import read_parquet
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_training_arguments(parser)
    parser.add_argument("--subset", type=Path, required=True, help="Parquet with the chosen rows")
    return parser


def subset_rows(path: Path, samples: Samples) -> list[int]:
    """Read the chosen rows, in pool order, and check them against the pool.

    Raises
    ------
    InputError
        If a row or its sample id is not in the pool.
    """
    chosen = read_parquet(path, columns=["row", "sample_id"]).sort_values("row")
    rows = chosen["row"].to_numpy()
    pool = samples.frame(columns=["sample_id"])["sample_id"].to_numpy()
    known = (rows >= 0) & (rows < len(pool))
    known[known] = pool[rows[known]] == chosen["sample_id"].to_numpy()[known]
    if not known.all():
        strange = chosen[~known].iloc[0]
        raise InputError(
            f"{path}: row {strange['row']}, sample {strange['sample_id']!r}, is not in this pool"
        )
    return rows.tolist()


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    start_logging()
    settings = read_settings(arguments)
    logger.info("seed %d, %s", arguments.seed, settings)
    samples = Samples(arguments.samples)
    chosen = subset_rows(arguments.subset, samples)
    known = np.setdiff1d(chosen, read_left_out(arguments.left_out))
    if len(known) < len(chosen):
        refused = (len(chosen) - len(known), len(chosen))
        logger.warning("%d of %d chosen samples are not trained on: see refused.csv", *refused)
    train_and_save(samples, lambda refused: np.setdiff1d(known, refused), settings, arguments)


if __name__ == "__main__":
    main()
