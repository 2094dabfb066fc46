"""Relaxed accuracy of answers read from charts: numbers may be off by 5 %.

A text that ends in "%" is a hundredth of its number, so "96%" and "0.96" are the same. Numbers with
thousands separators, units or surrounding words are text, as in the published scorer.
"""

import math
from collections.abc import Sequence

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, pairs, summarise


def evaluate(
    predictions: Sequence[str], examples: Sequence[Example], *, tolerance: float = 0.05
) -> Evaluation:
    """Score 1 if a prediction agrees with any of its reference answers, else 0.

    Parameters
    ----------
    tolerance : float
        Largest relative error of a number.

    References
    ----------
    Masry et al., ChartQA, Findings of ACL 2022 (arXiv 2203.10244): relaxed accuracy, after Methani
    et al., PlotQA (arXiv 1909.00997); details as in the scorer of Pix2Struct (arXiv 2210.03347).
    """
    return summarise(
        [
            float(any(agree(prediction, answer, tolerance) for answer in answers))
            for prediction, answers, _ in pairs(predictions, examples)
        ]
    )


def agree(prediction: str, answer: str, tolerance: float) -> bool:
    """Compare as numbers if both are and the answer is not 0; else as text, ignoring case."""
    guess, truth = _number(prediction), _number(answer)
    if guess is None or not truth:
        return prediction.lower() == answer.lower()
    return abs(guess - truth) / abs(truth) <= tolerance


def _number(text: str) -> float | None:
    """Read a finite number, percent signs included; None if the text is not one."""
    try:
        number = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
