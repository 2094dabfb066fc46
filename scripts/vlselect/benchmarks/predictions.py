"""Scores of predictions on one task's test set, written beside the predictions."""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.benchmarks.majority import last_question
from vlselect.benchmarks.metrics.evaluation import Evaluation, Example
from vlselect.benchmarks.metrics.units import unit_scores
from vlselect.core import registry, store
from vlselect.core.errors import InputError
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

# Counts in a summary that qualify its score
NOTICES = {
    "cut": "were cut at the max_new_tokens of task %s",
    "unparsed": "could not be parsed reliably by the metric of task %s",
}


@dataclass(frozen=True)
class Benchmark:
    """A task's test set and the metric that scores it.

    Attributes
    ----------
    task, metric : str
        Names from the config.
    options : dict
        Keyword arguments of the metric.
    test : Path
        The task's test.parquet.
    """

    task: str
    metric: str
    options: dict
    test: Path

    @classmethod
    def parse(cls, task: str, metric: str, options: str, test: str) -> "Benchmark":
        """Read the parts of a --task flag; `options` is a JSON object.

        ValueError names the task if the metric does not exist or does not accept the options.
        """
        parsed = json.loads(options)
        if not isinstance(parsed, dict):
            raise InputError(f"task {task!r}: metric options {options!r} are not a JSON object")
        try:
            registry.check_options(metric, parsed)
        except InputError as error:
            raise InputError(f"task {task!r}: {error}") from error
        return cls(task, metric, parsed, Path(test))


def add_task_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag that is repeated for each task: the arguments of `Benchmark.parse`."""
    parser.add_argument(
        "--task",
        nargs=4,
        action="append",
        required=True,
        metavar=("NAME", "METRIC", "OPTIONS", "TEST"),
        help="a task, its metric, the metric's options as JSON, and test.parquet",
    )


def read_examples(test: Path) -> pd.DataFrame:
    """Read the columns of a test set that scoring needs.

    These are row, sample_id, images, answers, choices; question, the last user turn without image
    markers; and record, the original record, parsed.
    """
    samples = Samples(test)
    rows = range(len(samples))
    return samples.frame(["row", "sample_id", "images", "answers", "choices"]).assign(
        question=[last_question(record) for record in samples.records(rows)],
        record=[json.loads(raw) for raw in samples.raw(rows)],
    )


def check_test(benchmark: Benchmark) -> int:
    """Check that a test set has what its metric needs, and return the number of its samples.

    Empty answers are scored, unless the metric has a function ``check_examples(examples,
    **options)`` for it.

    Raises
    ------
    InputError
        Naming the sample that cannot be scored.
    """
    metric = registry.load("metric", benchmark.metric)
    examples = read_examples(benchmark.test).to_dict("records")
    if hasattr(metric, "check_examples"):
        metric.check_examples(examples, **benchmark.options)
    else:
        metric.evaluate([""] * len(examples), examples, **benchmark.options)
    return len(examples)


def score_task(
    benchmark: Benchmark, examples: pd.DataFrame, predictions: Sequence[str], out: Path, **details
) -> dict:
    """Score one task and write ``<out>/<task>.parquet`` and ``<out>/<task>.json``.

    Parameters
    ----------
    benchmark : Benchmark
    examples : DataFrame
        The test set, from `read_examples`.
    predictions : sequence of str
        In the order of `examples`.
    out : Path
        Directory.
    **details
        Added to the summary.

    Returns
    -------
    dict
        The summary: task, metric, score (0 to 100; MME's in points), n, and details.
    """
    evaluate = registry.load("metric", benchmark.metric).evaluate
    records = examples.to_dict("records")
    evaluation = evaluate(predictions, records, **benchmark.options)
    units, values = _unit_scores(benchmark, evaluation, records)
    table = examples[["row", "sample_id"]].assign(
        prediction=list(predictions),
        answers=examples["answers"],
        score=evaluation.scores,
        unit=units,
        unit_score=values,
    )
    summary = {"task": benchmark.task, "metric": benchmark.metric, **evaluation.summary, **details}
    store.write_parquet(table, out / f"{benchmark.task}.parquet")
    store.write_json(summary, out / f"{benchmark.task}.json")
    logger.info(
        "%s: %s %.2f (n %d)",
        *(benchmark.task, benchmark.metric, summary["score"], summary["n"]),
    )
    for name, notice in NOTICES.items():
        if count := summary.get(name):
            logger.warning(f"%d of %d answers {notice}", count, len(table), benchmark.task)
    return summary


def _unit_scores(
    benchmark: Benchmark, evaluation: Evaluation, examples: Sequence[Example]
) -> tuple[np.ndarray, np.ndarray]:
    """Return units and their scores; −1 and NaN, with a warning, if the metric has none."""
    found = unit_scores(evaluation, examples)
    if found is not None:
        return found
    logger.warning(
        "%s: the score of metric %s is not the mean of its samples' scores, and the metric does "
        "not return its parts: there will be no interval over questions",
        *(benchmark.task, benchmark.metric),
    )
    return np.full(len(examples), -1, dtype=np.int32), np.full(len(examples), np.nan)
