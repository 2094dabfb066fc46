"""Exact match of short answers, as GQA and similar benchmarks are scored.

Prediction and references are compared in lower case, without full stops at their end, without
blanks around them and with one blank between words; nothing else is forgiven.
"""

from collections.abc import Sequence

from vlselect.metrics.evaluation import Evaluation, Example, pairs, summarise


def evaluate(predictions: Sequence[str], examples: Sequence[Example]) -> Evaluation:
    """Score 1 where a prediction equals any of its reference answers, else 0.

    Parameters
    ----------
    predictions : sequence of str
        What the model wrote.
    examples : sequence of mapping
        With `answers`, the strings that count as right.

    Returns
    -------
    Evaluation

    References
    ----------
    Hudson and Manning, GQA, CVPR 2019 (arXiv 1902.09506): accuracy. Case and full stop are
    dropped as LLaVA-1.5 (arXiv 2310.03744) does it, since the answers are free text.
    """
    return summarise(
        [
            float(normalise(prediction) in map(normalise, answers))
            for prediction, answers, _ in pairs(predictions, examples)
        ]
    )


def normalise(text: str) -> str:
    """Bring an answer to the form that is compared: "  A  red Ball. " becomes "a red ball"."""
    return " ".join(text.lower().split()).rstrip(".").rstrip()
