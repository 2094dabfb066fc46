"""Make the raw data of the digits demo: a pool in LLaVA JSON, its images, the tasks' questions."""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from vlselect.config.record_files import SPLITS
from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.core.store import replacing_directory
from vlselect.digits.files import benchmark_record, pool_record, write_images, write_records
from vlselect.digits.mixture import Sample, draw_benchmark, draw_mixture
from vlselect.digits.vocabulary import TASKS

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--mixture", type=json.loads, required=True, help='samples of each task: {"counting": 9, …}'
    )
    parser.add_argument("--noise", type=float, required=True, help="share of wrong answers")
    parser.add_argument("--duplicates", type=float, required=True, help="share of near-duplicates")
    parser.add_argument("--validation-size", type=int, required=True, help="questions of each task")
    parser.add_argument("--test-size", type=int, required=True, help="questions of each task")
    parser.add_argument("--seed", type=int, required=True, help="of the digits' split and the draw")
    parser.add_argument("--records", type=Path, required=True, help="the pool's records to write")
    parser.add_argument("--images", type=Path, required=True, help="folder of images to write")
    for split in SPLITS:
        parser.add_argument(
            f"--{split}",
            type=Path,
            nargs="+",
            required=True,
            help=f"{split} questions to write; each file's folder names its task",
        )
    return parser


def log_mixture(samples: list[Sample]) -> None:
    """Log the number of samples, and the shares of wrong answers and near-duplicates."""
    noisy = sum(sample.noisy for sample in samples) / max(1, len(samples))
    duplicate = sum(sample.duplicate for sample in samples) / max(1, len(samples))
    logger.info(
        "%d samples, %.1f %% with a wrong answer, %.1f %% near-duplicates",
        *(len(samples), 100 * noisy, 100 * duplicate),
    )


def write_benchmark(path: Path, images: Path, split: str, size: int, seed: int) -> None:
    task = path.parent.name
    if task not in TASKS:
        raise InputError(f"{path} is not in the folder of a task ({', '.join(TASKS)})")
    samples = draw_benchmark(task, split, size, seed)
    write_images(samples, images, split)
    write_records((benchmark_record(sample, split) for sample in samples), path)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    with replacing_directory(arguments.images) as images:
        write_all(arguments, images)


def write_all(arguments: argparse.Namespace, images: Path) -> None:
    """Write the pool's and the tasks' images into a folder, and their records."""
    seed = arguments.seed
    samples = draw_mixture(
        arguments.mixture, noise=arguments.noise, duplicates=arguments.duplicates, seed=seed
    )
    log_mixture(samples)
    with log.timed("pool"):
        write_images(samples, images, "pool")
        write_records((pool_record(sample, "pool") for sample in samples), arguments.records)
    with log.timed("tasks"):
        for path in arguments.validation:
            write_benchmark(path, images, "validation", arguments.validation_size, seed)
        for path in arguments.test:
            write_benchmark(path, images, "test", arguments.test_size, seed)


if __name__ == "__main__":
    main()
