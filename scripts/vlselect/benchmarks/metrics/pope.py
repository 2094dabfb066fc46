"""POPE: whether the model sees objects that are not there.

Questions have categories (random, popular, adversarial), by how the absent objects were chosen.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, Parts, pairs
from vlselect.benchmarks.metrics.yes_no import first_word, gold_label
from vlselect.core.errors import InputError

NEGATIONS = {"No", "no", "not"}


def evaluate(predictions: Sequence[str], examples: Sequence[Example]) -> Evaluation:
    """Score 1 if the prediction's yes or no is right; summarise by category.

    The first of `answers` is yes or no; samples without a ``category`` in the record get ``all``.

    Returns
    -------
    Evaluation
        In the summary, in percent: `score`, the mean of the categories' F1 (as LLaVA-1.5 reports
        POPE), `accuracy` of all samples, and `categories`, each with n, accuracy, precision,
        recall, f1 and yes_ratio. A precision, recall or F1 with denominator 0 is 0. `unparsed`
        counts answers that do not begin with the yes or no that they count as.

    References
    ----------
    Li et al., Evaluating Object Hallucination in Large Vision-Language Models, EMNLP 2023 (arXiv
    2305.10355), and its program evaluate.py.
    """
    scores, unparsed, groups, counted = [], 0, defaultdict(list), []
    for prediction, answers, example in pairs(predictions, examples):
        label = parse(prediction)
        unparsed += first_word(prediction) != label
        said, right = label == "yes", gold_label(answers, example) == "yes"
        category = (example.get("record") or {}).get("category", "all")
        groups[str(category)].append((said, right))
        counted.append((str(category), said, right))
        scores.append(float(said == right))
    if not scores:
        raise InputError("no predictions to score")
    categories = {name: _rates(np.array(groups[name])) for name in sorted(groups)}
    mean_f1 = float(np.mean([rates["f1"] for rates in categories.values()]))
    accuracy = 100 * float(np.mean(scores))
    summary = {
        "score": mean_f1,
        "n": len(scores),
        "accuracy": accuracy,
        "categories": categories,
        "unparsed": unparsed,
    }
    return Evaluation(np.array(scores), summary, _parts(counted, sorted(groups)))


def parse(text: str) -> str:
    """Return no if the first sentence has a negation among its words, else yes.

    Words are separated by single blanks after commas are removed, and case matters: the published
    program reads "NO", "no!" and an empty answer as yes.
    """
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if NEGATIONS & set(words) else "yes"


def _parts(counted: list[tuple[str, bool, bool]], categories: list[str]) -> Parts:
    """Return the terms of F1 = 2 · hits / (said yes + is yes), in each category."""
    names, said, right = zip(*counted, strict=True)
    said, right = np.array(said, dtype=np.float64), np.array(right, dtype=np.float64)
    weight = [100 / len(categories)] * len(categories)
    return Parts(
        2 * said * right, said + right, weight, np.array([categories.index(n) for n in names])
    )


def _rates(pairs_: np.ndarray) -> dict:
    """Return the rates of one category from booleans (n, 2): said yes, yes is right."""
    said, right = pairs_.T
    hits = int((said & right).sum())
    precision, recall = _ratio(hits, int(said.sum())), _ratio(hits, int(right.sum()))
    return {
        "n": len(pairs_),
        "accuracy": 100 * float((said == right).mean()),
        "precision": 100 * precision,
        "recall": 100 * recall,
        "f1": 100 * _ratio(2 * precision * recall, precision + recall),
        "yes_ratio": 100 * float(said.mean()),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
