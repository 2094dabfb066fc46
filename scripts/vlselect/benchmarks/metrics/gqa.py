"""GQA: accuracy of one-word answers, over all questions and over binary and open ones.

GQA's own program compares answers letter by letter and leaves it to the model to answer in its
vocabulary. Free text is brought to that form as LLaVA-1.5 does it: blanks around it and full stops
at its end are dropped, and it is put in lower case; the gold answers stay as they are. That is
stricter than `exact_match`, which also evens out the blanks and the gold answers.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vlselect.benchmarks.metrics.evaluation import (
    Evaluation,
    Example,
    Parts,
    pairs,
    percentages,
    summarise,
)


def evaluate(predictions: Sequence[str], examples: Sequence[Example]) -> Evaluation:
    """Score 1 where the prediction is the gold answer, else 0.

    Parameters
    ----------
    predictions : sequence of str
        What the model wrote.
    examples : sequence of mapping
        With one of `answers`. Where `record` has GQA's ``types``, accuracies are given by type
        too; where it has ``isBalanced``, only balanced questions enter the score, as in GQA.

    Returns
    -------
    Evaluation
        In the summary, all in percent: `score`, and where known `binary`, `open` (questions of
        structural type ``query``), `structural` and `semantic`. `n` counts scored questions, and
        `unbalanced` those left out. Consistency, validity, plausibility and distribution, which
        need files beside the questions, are not computed.

    Raises
    ------
    ValueError
        If no question is balanced.

    References
    ----------
    Hudson and Manning, GQA, CVPR 2019 (arXiv 1902.09506), and its program eval.py; Liu et al.,
    LLaVA-1.5, CVPR 2024 (arXiv 2310.03744).
    """
    matched = pairs(predictions, examples)
    scores = np.array([float(normalise(text) in answers) for text, answers, _ in matched])
    records = [example.get("record") or {} for _, _, example in matched]
    balanced = np.array([bool(record.get("isBalanced", True)) for record in records], dtype=bool)
    groups: dict[str, dict[str, list[float]]] = {
        name: defaultdict(list) for name in ("answer", "structural", "semantic")
    }
    for score, record, counts in zip(scores, records, balanced, strict=True):
        types = record.get("types")
        if counts and isinstance(types, dict):
            structural = types.get("structural")
            groups["answer"]["open" if structural == "query" else "binary"].append(score)
            for name in ("structural", "semantic"):
                groups[name][str(types.get(name))].append(score)
    details = {name: percentages(groups[name]) for name in ("structural", "semantic")}
    summary = summarise(
        scores[balanced],
        unbalanced=int((~balanced).sum()),
        **percentages(groups["answer"]),
        **{name: values for name, values in details.items() if values},
    ).summary
    parts = Parts(scores, np.ones(len(scores)), group=np.where(balanced, 0, -1))
    return Evaluation(scores, summary, parts)


def normalise(text: str) -> str:
    """Bring a prediction to the form of GQA's answers: "Light blue." becomes "light blue"."""
    return text.strip().rstrip(".").lower()
