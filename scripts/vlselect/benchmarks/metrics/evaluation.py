"""The contract of a metric, and helpers that metrics share.

A metric is a module of this folder with a function ``evaluate(predictions, examples, **options)``
that returns an `Evaluation`; the config names it.

predictions : sequence of str
    What the model wrote.
examples : sequence of mapping
    Test samples: `row`, `sample_id`, `images`, `answers` (what counts as right) and `choices` from
    the task's table, `question` (the last user turn), and `record`, the parsed JSON of the original
    record, for fields that only one benchmark has.

Options have default values, unless the config has to give them, and types, by which
`core.registry.check_options` checks them before any job runs: bool, int, float, str, dict or a
Literal of the allowed texts.

It raises InputError if there is no sample, if the numbers of predictions and examples differ, if a
sample has no answer or lacks a field that the metric needs, or if an option is wrong.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlselect.core.errors import InputError

Example = Mapping[str, object]
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class Parts:
    """Terms of a score: Σ_groups weight · Σ numerator / Σ denominator, over the group's samples.

    Attributes
    ----------
    numerator, denominator : float64 array, shape (n,)
        What each sample adds to the sums of its group. A group whose denominators sum to zero
        counts as 0.
    weight : sequence of float, length G
    group : int array, shape (n,), optional
        From 0; −1 for samples outside the score. None: all are in group 0.
    unit : sequence of hashable, length n, optional
        What is scored as one and would be drawn again for another test set. None: samples with the
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
        `score` (0 to 100; MME's are points), `n`, and further results of the metric.
    parts : Parts, optional
        Terms of the score if it is not the mean of `scores`; intervals over questions need them.
    """

    scores: np.ndarray
    summary: dict
    parts: Parts | None = None


def summarise(scores: Sequence[float], **details) -> Evaluation:
    """Average per-sample scores in [0, 1] into a percentage; `details` are added to the summary.

    ValueError if there is no sample.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not len(scores):
        raise InputError("no predictions to score")
    return Evaluation(scores, {"score": 100 * float(scores.mean()), "n": len(scores), **details})


def pairs(
    predictions: Sequence[str], examples: Sequence[Example]
) -> list[tuple[str, list[str], Example]]:
    """Match predictions with reference answers: a list of (prediction, answers, example).

    ValueError if the lengths differ or an example has no answer.
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
    """Return a field of a test sample: a column of the task's table, else a key of its record.

    ValueError names the sample and the key if both are missing or null.
    """
    for place in (example, example.get("record") or {}):
        if place.get(name) is not None:
            return place[name]
    raise InputError(f"test sample {example.get('sample_id')!r} has no {name!r}")


def option_letter(example: Example, answer: str, n_options: int = 26) -> str:
    """Return the letter of a multiple-choice question's right option: "b" and "B" are B.

    Any other answer must be the text of one of the example's `choices`; else ValueError names the
    sample.
    """
    letter = answer.strip().upper()
    if letter in LETTERS[:n_options]:
        return letter
    choices = list(example["choices"]) if example.get("choices") is not None else []
    if choices.count(answer) == 1:
        return LETTERS[choices.index(answer)]
    raise InputError(
        f"test sample {example.get('sample_id')!r}: {answer!r} is not one of its options"
    )


def percentages(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Average the scores of each group into a percentage; groups in alphabetical order."""
    return {name: 100 * float(np.mean(scores[name])) for name in sorted(scores)}
