"""Exact match of short answers.

Predictions and references are compared in lower case, without full stops at the end, with one blank
between words and none around them. `gqa` follows that benchmark's own program.
"""

from collections.abc import Sequence

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, pairs, summarise


def evaluate(
    predictions: Sequence[str], examples: Sequence[Example], *, verbatim: bool = False
) -> Evaluation:
    """Score 1 if a prediction equals any of its reference answers, else 0.

    Parameters
    ----------
    verbatim : bool
        Compare letter by letter, as A-OKVQA does with the text of the chosen option.

    References
    ----------
    Schwenk et al., A-OKVQA, ECCV 2022 (arXiv 2206.01718): multiple choice, for `verbatim`. Case and
    full stop are ignored as in LLaVA-1.5 (arXiv 2310.03744), since answers are free text.
    """
    form = str if verbatim else normalise
    return summarise(
        [
            float(form(prediction) in map(form, answers))
            for prediction, answers, _ in pairs(predictions, examples)
        ]
    )


def normalise(text: str) -> str:
    """Return the compared form of an answer: "  A  red Ball. " becomes "a red ball"."""
    return " ".join(text.lower().split()).rstrip(".").rstrip()
