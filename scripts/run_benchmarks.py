"""Answer every task's test set with one model and score the answers.

Writes for each task <out>/<task>.parquet (row, sample_id, prediction, answers, score, unit,
unit_score) and <out>/<task>.json (task, metric, score from 0 to 100, n, cut - unfinished answers -
and details).
"""

import argparse
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

from vlselect.benchmarks.generation import generate
from vlselect.benchmarks.predictions import Benchmark, read_examples, score_task
from vlselect.core import log
from vlselect.models import loading
from vlselect.models.checkpoint import load_checkpoint, merge_adapter
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--task",
        nargs=6,
        action="append",
        required=True,
        metavar=("NAME", "METRIC", "OPTIONS", "TEST", "IMAGES", "TOKENS"),
        help="a task, its metric, the metric's options as JSON, test.parquet, image root and the "
        "most tokens in an answer",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="finetuned checkpoint; by default the model without finetuning",
    )
    about = "add the checkpoint's adapter to the weights before it answers"
    parser.add_argument("--merge-adapter", action="store_true", help=about)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image allowed")
    parser.add_argument("--out", type=Path, required=True, help="directory for the tasks' files")
    loading.add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    tasks = [(Benchmark.parse(*task[:4]), Path(task[4]), int(task[5])) for task in arguments.task]
    model = loading.load_from_arguments(arguments)
    if arguments.checkpoint is not None:
        model = load_checkpoint(model, arguments.checkpoint)
        if arguments.merge_adapter:
            model = merge_adapter(model)
    for benchmark, images, max_new_tokens in tasks:
        samples = Samples(benchmark.test)
        with log.timed(f"{benchmark.task}: {len(samples)} answers"):
            predictions, cut = generate(
                *(model, samples, range(len(samples)), images),
                max_new_tokens=max_new_tokens,
                max_pixels=arguments.max_pixels,
            )
        examples = read_examples(benchmark.test)
        score_task(benchmark, examples, predictions, arguments.out, cut=sum(cut))


if __name__ == "__main__":
    main()
