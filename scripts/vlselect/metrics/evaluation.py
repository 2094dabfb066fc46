"""What every metric returns, and how a metric is found by the name that the config gives it."""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Example = Mapping[str, Sequence[str] | None]


@dataclass(frozen=True)
class Evaluation:
    """Scores of one benchmark.

    Attributes
    ----------
    scores : ndarray of float64, shape (n,)
        One score in [0, 1] for each sample.
    summary : dict
        `score` (0 to 100), `n`, and whatever else the metric has to say.
    """

    scores: np.ndarray
    summary: dict


def summarise(scores: Sequence[float], **details) -> Evaluation:
    """Average per-sample scores into a percentage.

    Parameters
    ----------
    scores : sequence of float
        In [0, 1], one for each sample.
    **details
        Put into the summary as they are.

    Raises
    ------
    ValueError
        If there is no sample.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not len(scores):
        raise ValueError("no predictions to score")
    return Evaluation(scores, {"score": 100 * float(scores.mean()), "n": len(scores), **details})


def pairs(
    predictions: Sequence[str], examples: Sequence[Example]
) -> list[tuple[str, list[str], Example]]:
    """Match predictions with their reference answers.

    Returns
    -------
    list of (prediction, answers, example)

    Raises
    ------
    ValueError
        If the lengths differ or an example has no answer.
    """
    if len(predictions) != len(examples):
        raise ValueError(f"{len(predictions)} predictions for {len(examples)} examples")
    matched = []
    for prediction, example in zip(predictions, examples, strict=True):
        answers = example.get("answers")
        if answers is None or not len(answers):
            raise ValueError(f"test sample {example.get('sample_id')!r} has no answers")
        matched.append((prediction, list(answers), example))
    return matched


def load_metric(name: str) -> Callable[..., Evaluation]:
    """Give the `evaluate` function of the metric module `name` of this package.

    Raises
    ------
    ValueError
        If there is no such metric.
    """
    module = f"vlselect.metrics.{name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not the name of a metric")
    try:
        return importlib.import_module(module).evaluate
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ValueError(f"there is no metric {name!r} in vlselect/metrics/") from error
    except AttributeError as error:
        raise ValueError(f"vlselect/metrics/{name}.py is not a metric: no evaluate()") from error
