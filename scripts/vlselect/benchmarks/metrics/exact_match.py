"""Exact match of short answers.

Prediction and references are compared in lower case, without full stops at their end, without
blanks around them and with one blank between words; nothing else is forgiven. `gqa` follows that
benchmark's own program.
"""

from collections.abc import Sequence

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, pairs, summarise


def evaluate(
    predictions: Sequence[str], examples: Sequence[Example], *, verbatim: bool = False
) -> Evaluation:
    """Score 1 where a prediction equals any of its reference answers, else 0.

    Parameters
    ----------
    predictions : sequence of str
        What the model wrote.
    examples : sequence of mapping
        With `answers`, the strings that count as right.
    verbatim : bool
        Compare letter by letter, as A-OKVQA does with the text of the option chosen.

    Returns
    -------
    Evaluation

    References
    ----------
    Schwenk et al., A-OKVQA, ECCV 2022 (arXiv 2206.01718): multiple choice, for `verbatim`. Case
    and full stop are dropped as LLaVA-1.5 (arXiv 2310.03744) does, since answers are free text.
    """
    form = str if verbatim else normalise
    return summarise(
        [
            float(form(prediction) in map(form, answers))
            for prediction, answers, _ in pairs(predictions, examples)
        ]
    )


def normalise(text: str) -> str:
    """Bring an answer to the form that is compared: "  A  red Ball. " becomes "a red ball"."""
    return " ".join(text.lower().split()).rstrip(".").rstrip()
