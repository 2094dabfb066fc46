"""Score predictions on one task's test set and write what was predicted beside the score."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vlselect import store
from vlselect.metrics.evaluation import load_metric

logger = logging.getLogger(__name__)


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
        """Read the parts of a --task flag; `options` is a JSON object."""
        parsed = json.loads(options)
        if not isinstance(parsed, dict):
            raise ValueError(f"task {task!r}: metric options {options!r} are not a JSON object")
        load_metric(metric)
        return cls(task, metric, parsed, Path(test))


def read_examples(test: Path) -> pd.DataFrame:
    """Read what scoring needs of a test set: row, sample_id, answers and choices."""
    return pd.read_parquet(test, columns=["row", "sample_id", "answers", "choices"])


def score_task(
    benchmark: Benchmark, examples: pd.DataFrame, predictions: Sequence[str], out: Path, **details
) -> dict:
    """Score one task and write ``<out>/<task>.parquet`` and ``<out>/<task>.json``.

    Parameters
    ----------
    benchmark : Benchmark
        Task and metric.
    examples : DataFrame
        Columns row, sample_id, answers and choices of the test set.
    predictions : sequence of str
        In the order of `examples`.
    out : Path
        Directory.
    **details
        Put into the summary as they are.

    Returns
    -------
    dict
        The summary: task, metric, score (0 to 100), n, and details.
    """
    evaluate = load_metric(benchmark.metric)
    evaluation = evaluate(predictions, examples.to_dict("records"), **benchmark.options)
    table = examples[["row", "sample_id"]].assign(
        prediction=list(predictions), answers=examples["answers"], score=evaluation.scores
    )
    summary = {"task": benchmark.task, "metric": benchmark.metric, **evaluation.summary, **details}
    store.write_parquet(table, out / f"{benchmark.task}.parquet")
    store.write_json(summary, out / f"{benchmark.task}.json")
    logger.info(
        "%s: %s %.2f (n %d)",
        *(benchmark.task, benchmark.metric, summary["score"], summary["n"]),
    )
    return summary
