"""Warm a model up for gradients: LoRA on a random fraction of the pool.

The directory gets the adapter (safetensors), training_log.csv, and rows.csv with the samples used.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vlselect import budget, log, vlm
from vlselect.checkpoint import LOG_NAME, replacing_directory, save_checkpoint
from vlselect.finetune import train
from vlselect.finetune_settings import Settings
from vlselect.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Describe the flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--fraction", type=float, required=True, help="of the pool, in (0, 1]")
    parser.add_argument("--settings", default="{}", help="finetuning settings, as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the choice and of the training")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    vlm.add_model_arguments(parser)
    return parser


def draw_rows(sample_ids: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Draw round(fraction · N) rows, int64, ascending; another draw than the method `random`'s."""
    count = budget.size(len(sample_ids), fraction)
    return np.sort(budget.draw([f"warm_up:{name}" for name in sample_ids], count, seed))


def main(argv: Sequence[str] | None = None) -> None:
    """Draw samples, train and save."""
    arguments = build_parser().parse_args(argv)
    log.start()
    settings = Settings.from_mapping(json.loads(arguments.settings))
    if settings.adapter != "lora":
        raise ValueError("the warm-up trains a LoRA adapter; its settings ask for another one")
    samples = Samples(arguments.samples)
    pool = samples.frame(["row", "sample_id", "source"])
    rows = draw_rows(pool["sample_id"].tolist(), arguments.fraction, arguments.seed)
    logger.info("%d of %d samples, seed %d, %s", len(rows), len(samples), arguments.seed, settings)
    model = vlm.load_from_arguments(arguments)
    with replacing_directory(arguments.out) as directory:
        with log.timed("warm-up"):
            trained = train(
                *(model, samples, rows, arguments.images, settings, arguments.seed),
                log_path=directory / LOG_NAME,
                max_pixels=arguments.max_pixels,
            )
        save_checkpoint(trained, directory)
        pool.iloc[rows].to_csv(directory / "rows.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
