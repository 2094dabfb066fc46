"""Answer every task's test set without looking at images, and score the answers.

An answer is the pool's most frequent answer to the same question, else the most frequent answer in
the task's validation set; ties: first in lexicographic order. Writes what run_benchmarks.py does.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vlselect.benchmarks.majority import (
    count_answers,
    first_exchange,
    last_question,
    majority_answers,
)
from vlselect.benchmarks.predictions import Benchmark, add_task_argument, read_examples, score_task
from vlselect.core import log
from vlselect.core.store import read_parquet
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

READ = 4096  # records of the pool in memory at once


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    add_task_argument(parser)
    parser.add_argument(
        "--validation",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALIDATION"),
        help="a task and its validation.parquet, for questions that are not in the pool",
    )
    parser.add_argument("--out", type=Path, required=True, help="directory for the tasks' files")
    return parser


def pool_exchanges(samples: Samples):
    """Yield the first question and answer of each record of the pool."""
    starts = range(0, len(samples), READ)
    for start in log.progress(starts, description="pool answers"):
        for record in samples.records(range(start, min(start + READ, len(samples)))):
            yield first_exchange(record)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    benchmarks = [Benchmark.parse(*task) for task in arguments.task]
    questions = {}
    for benchmark in benchmarks:
        tests = Samples(benchmark.test)
        questions[benchmark.task] = [last_question(r) for r in tests.records(range(len(tests)))]
    asked = {question for task in questions.values() for question in task}
    counts = count_answers(pool_exchanges(Samples(arguments.samples)), asked)
    logger.info("%d questions, %d of them asked in the pool", len(asked), len(counts))
    validation = {
        task: Counter(read_parquet(path, columns=["answers"])["answers"].explode().dropna())
        for task, path in arguments.validation
    }
    for benchmark in benchmarks:
        predictions, known = majority_answers(
            questions[benchmark.task], counts, validation.get(benchmark.task, Counter())
        )
        examples = read_examples(benchmark.test)
        score_task(benchmark, examples, predictions, arguments.out, questions_in_pool=known)


if __name__ == "__main__":
    main()
