"""GQA: accuracy of one-word answers, over all questions and over binary and open ones.

GQA's own program compares answers letter by letter and expects answers from its vocabulary. Free
text is converted as in LLaVA-1.5: lower case, without surrounding blanks and full stops at the end;
the gold answers stay unchanged. That is stricter than `exact_match`, which also normalises inner
blanks and the gold answers.
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
    """Score 1 if the prediction is the gold answer, else 0.

    If `record` has GQA's ``types``, accuracies are also reported by type; if it has ``isBalanced``,
    only balanced questions enter the score, as in GQA.

    Returns
    -------
    Evaluation
        In the summary, in percent: `score`, and if known `binary`, `open` (questions of structural
        type ``query``), `structural` and `semantic`. `n` counts scored questions, `unbalanced`
        those left out. Consistency, validity, plausibility and distribution need further files and
        are not computed.

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
    """Convert a prediction to the form of GQA's answers: "Light blue." becomes "light blue"."""
    return text.strip().rstrip(".").lower()
