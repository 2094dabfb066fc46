"""What every metric gets and returns.

A metric is a module of this folder with ``evaluate(predictions, examples, **options)``, named in
the config. An example is a test sample: `row`, `sample_id`, `images`, `answers` and
`choices` from the task's table, `question` (its last user turn) and `record`, the parsed JSON of
the record as it was delivered, where fields lie that only one benchmark has.
"""

import inspect
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlselect.core import registry
from vlselect.core.errors import InputError

Example = Mapping[str, object]
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class Parts:
    """What a score is made of: Σ_groups weight · Σ numerator / Σ denominator, over its samples.

    Attributes
    ----------
    numerator, denominator : float64 array, shape (n,)
        What each sample adds to both sums of its group. A group whose denominators add up to zero
        counts as 0.
    weight : sequence of float, length G
    group : int array, shape (n,), optional
        From 0; −1 for samples that do not enter the score. None: all are of group 0.
    unit : sequence of hashable, length n, optional
        What is scored as one and would be drawn anew in another test set. None: samples with the
        same images.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    weight: Sequence[float] = (100.0,)
    group: np.ndarray | None = None
    unit: Sequence[Hashable] | None = None


@dataclass(frozen=True)
class Evaluation:
    """Scores of one benchmark.

    Attributes
    ----------
    scores : ndarray of float64, shape (n,)
        One score in [0, 1] for each sample.
    summary : dict
        `score` (0 to 100; MME's are points), `n`, and whatever else the metric has to say.
    parts : Parts, optional
        What the score is made of, where it is not the mean of `scores`: intervals over questions
        need it.
    """

    scores: np.ndarray
    summary: dict
    parts: Parts | None = None


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
        raise InputError("no predictions to score")
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
            raise InputError(f"test sample {example.get('sample_id')!r} has no answers")
        matched.append((prediction, list(answers), example))
    return matched


def field(example: Example, name: str) -> object:
    """Look up what a metric needs of a test sample beyond its answers.

    A column of the task's table comes first, then a key of the record as it was delivered.

    Raises
    ------
    ValueError
        If the sample has neither, or it is null; names the sample and the key.
    """
    for place in (example, example.get("record") or {}):
        if place.get(name) is not None:
            return place[name]
    raise InputError(f"test sample {example.get('sample_id')!r} has no {name!r}")


def option_letter(example: Example, answer: str, n_options: int = 26) -> str:
    """Read the right option's letter of a multiple-choice question: "b" and "B" are B.

    An answer that is no letter has to be the text of one of the example's `choices`.

    Raises
    ------
    ValueError
        If it is neither; names the sample.
    """
    letter = answer.strip().upper()
    if letter in LETTERS[:n_options]:
        return letter
    choices = list(example["choices"]) if example.get("choices") is not None else []
    if choices.count(answer) == 1:
        return LETTERS[choices.index(answer)]
    raise InputError(f"test sample {example.get('sample_id')!r}: {answer!r} is no option of it")


def percentages(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Average the scores of each group into a percentage; groups in alphabetical order."""
    return {name: 100 * float(np.mean(scores[name])) for name in sorted(scores)}


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Check a metric's options before anything long runs.

    They have to be arguments of its `evaluate`; what else they have to fulfil a metric may check
    in a function ``check_options(**options)`` of its own.

    Raises
    ------
    InputError
        If there is no such metric, or an option is unknown, missing or wrong.
    """
    metric = registry.load("metric", name)
    try:
        inspect.signature(metric.evaluate).bind([], [], **options)
    except TypeError as error:
        raise InputError(f"options of metric {name!r}: {error}") from error
    if hasattr(metric, "check_options"):
        metric.check_options(**options)
