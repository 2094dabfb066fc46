"""Train Self-Filter's score net jointly with a VLM, then score every sample of the pool with it.

Writes a Parquet table of row and score (the difficulty: minus the net's output), and a CSV of the
weighted loss of every training step.
"""

import argparse
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np
import pandas as pd

from vlselect.checkpoints import score_net
from vlselect.checkpoints.not_finite import train_without
from vlselect.checkpoints.training_job import add_settings_arguments, read_settings
from vlselect.core import log, ordering, store
from vlselect.core.errors import InputError
from vlselect.core.refused import accepted, naming, read_left_out, refused_in
from vlselect.features.refusals import add_refusal_arguments
from vlselect.models import loading
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--clip", type=Path, nargs="+", required=True, help="CLIP feature shards")
    add_refusal_arguments(parser)
    parser.add_argument("--fraction", required=True, help="of the pool to train on, in (0, 1]")
    parser.add_argument("--net-learning-rate", type=float, required=True, help="of the score net")
    parser.add_argument("--initial-spread", type=float, required=True, help="of the net's weights")
    parser.add_argument("--variant", choices=score_net.VARIANTS, required=True)
    add_settings_arguments(parser)
    parser.add_argument("--seed", type=int, required=True, help="of the draw and of training")
    parser.add_argument("--out", type=Path, required=True, help="Parquet: row, score")
    parser.add_argument("--log", type=Path, required=True, help="CSV: a row for each step")
    loading.add_loading_arguments(parser)
    return parser


def draw_rows(sample_ids: Sequence[str], fraction: float | str, seed: int) -> np.ndarray:
    """Draw round(fraction · N) rows, int64, ascending."""
    count = ordering.size(len(sample_ids), fraction)
    return np.sort(ordering.draw(sample_ids, count, seed, "self_filter"))


def train(
    arguments: argparse.Namespace,
    features: store.ShardedArray,
    samples: Samples,
    left_out: np.ndarray,
) -> tuple[score_net.ScoreNet, np.ndarray]:
    """Draw training samples, load the VLM, train both; return the net and the refused rows.

    These are `left_out`, which no sample is drawn from, and what training refuses; int64 ascending.
    """
    settings = read_settings(arguments)
    if settings.adapter != "lora":
        raise InputError("the score net is trained beside a LoRA adapter; use adapter: lora")
    logger.info("seed %d, %s", arguments.seed, settings)
    sample_ids = samples.frame(["sample_id"])["sample_id"].to_numpy(object)

    def draw(refused: np.ndarray) -> np.ndarray:
        kept = accepted(len(samples), np.union1d(left_out, refused))
        rows = kept[draw_rows(sample_ids[kept].tolist(), arguments.fraction, arguments.seed)]
        logger.info("%d of %d samples", len(rows), len(samples))
        return rows

    def train_on(rows: np.ndarray) -> score_net.ScoreNet:
        model = loading.load_from_arguments(arguments)
        with store.replacing(arguments.log) as log_path, log.timed("joint training"):
            return score_net.train(
                *(model, samples, rows, features, arguments.images, settings, arguments.seed),
                log_path=log_path,
                net_learning_rate=arguments.net_learning_rate,
                initial_spread=arguments.initial_spread,
                variant=arguments.variant,
                max_pixels=arguments.max_pixels,
            )

    net, found = train_without(samples, draw, train_on, settings, arguments)
    return net, np.union1d(left_out, found)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    samples, features = Samples(arguments.samples), store.ShardedArray(arguments.clip)
    left_out = np.union1d(read_left_out(arguments.left_out), refused_in([features]))
    net, refused = train(arguments, features, samples, left_out)
    scores = score_net.difficulties(net, features)
    scores[refused] = np.nan
    found = scores[accepted(len(scores), refused)]
    logger.info(
        "difficulty: %.4g to %.4g, mean %.4g, standard deviation %.4g, %d of %d below 0",
        *(found.min(), found.max(), found.mean(), found.std(), (found < 0).sum()),
        len(found),
    )
    frame = pd.DataFrame({"row": np.arange(len(scores), dtype=np.int64), "score": scores})
    store.write_parquet(naming(frame, refused), arguments.out)


if __name__ == "__main__":
    main()
