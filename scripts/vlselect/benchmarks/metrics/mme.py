"""MME: fourteen subtasks of yes-or-no questions, two about each image.

A subtask's points are its accuracy plus its accuracy⁺ (images with both questions right), each in
percent; perception sums ten subtasks (at most 2000 points) and cognition four (800).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, Parts, field, pairs
from vlselect.benchmarks.metrics.yes_no import first_word, gold_label
from vlselect.core.errors import InputError

SUBTASKS = {
    "perception": (
        *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark"),
        *("artwork", "OCR"),
    ),
    "cognition": (
        *("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"),
    ),
}


def evaluate(
    predictions: Sequence[str],
    examples: Sequence[Example],
    *,
    total: Literal[*SUBTASKS, "both"] = "perception",
) -> Evaluation:
    """Score 1 if the prediction's yes or no is right; summarise by subtask and in total.

    The first of `answers` is yes or no; the record's ``category`` is the subtask.

    Parameters
    ----------
    total : {"perception", "cognition", "both"}
        Which points are the `score`. Published tables mostly report perception.

    Returns
    -------
    Evaluation
        In the summary: `score` in points; `n`; `perception` and `cognition`, if they have subtasks
        here; `subtasks`, each with n, points, accuracy, accuracy_plus (in percent) and unparsed,
        the number of answers that do not begin with the yes or no that they count as (most count as
        neither, and are wrong); `unparsed` in all.

    Raises
    ------
    ValueError
        If a subtask is unknown, an image does not have two questions in its subtask, an answer is
        not yes or no, or no subtask counts towards the total.

    References
    ----------
    Fu et al., MME (arXiv 2306.13394), section 2.2, and its program calculation.py.
    """
    if total not in (*SUBTASKS, "both"):
        raise InputError(f"total {total!r} is not one of {(*SUBTASKS, 'both')}")
    scores, subtasks = [], defaultdict(lambda: defaultdict(list))
    unparsed = Counter()
    for prediction, answers, example in pairs(predictions, examples):
        subtask, said = _subtask(example), parse(prediction)
        scores.append(float(said == gold_label(answers, example)))
        subtasks[subtask][tuple(field(example, "images"))].append(scores[-1])
        unparsed[subtask] += first_word(prediction) != said
    known = [name for names in SUBTASKS.values() for name in names]
    rates = {
        name: _rates(name, subtasks[name], unparsed[name]) for name in known if name in subtasks
    }
    totals = {
        name: sum(rates[subtask]["points"] for subtask in subtasks if subtask in rates)
        for name, subtasks in SUBTASKS.items()
        if any(subtask in rates for subtask in subtasks)
    }
    if total not in totals and (total != "both" or not totals):
        raise InputError(f"no predictions to score: MME's {total} needs subtasks of its own")
    points = sum(totals.values()) if total == "both" else totals[total]
    summary = {"score": points, "n": len(scores), "total": total, **totals, "subtasks": rates}
    summary["unparsed"] = unparsed.total()
    return Evaluation(np.array(scores), summary, _parts(subtasks, examples, total))


def parse(text: str) -> str:
    """Return yes, no or other from the first four characters of an answer, ignoring case."""
    start = text.lower()[:4]
    return next((label for label in ("yes", "no") if label in start), "other")


def _parts(subtasks: dict, examples: Sequence[Example], total: str) -> Parts:
    """Combine accuracy and accuracy⁺ in one ratio per subtask: half the points each question."""
    counting = [name for key, names in SUBTASKS.items() if total in (key, "both") for name in names]
    group, points = [], []
    for example in examples:
        subtask, image = _subtask(example), tuple(field(example, "images"))
        group.append(counting.index(subtask) if subtask in counting else -1)
        pair = subtasks[subtask][image]
        points.append((np.mean(pair) + (sum(pair) == 2)) / 2)
    weight, halves = [100.0] * len(counting), np.full(len(points), 0.5)
    return Parts(np.array(points), halves, weight, np.array(group))


def _subtask(example: Example) -> str:
    name = field(example, "category")
    if not any(name in names for names in SUBTASKS.values()):
        raise InputError(f"test sample {example.get('sample_id')!r}: MME has no subtask {name!r}")
    return name


def _rates(name: str, images: dict[tuple, list[float]], unparsed: int) -> dict:
    """Return the accuracies of one subtask from the scores of each image's questions."""
    for image, scores in images.items():
        if len(scores) != 2:
            raise InputError(f"{name}: image {image} has {len(scores)} questions, MME asks two")
    accuracy = 100 * float(np.mean(list(images.values())))
    accuracy_plus = 100 * float(np.mean([sum(scores) == 2 for scores in images.values()]))
    return {
        "n": 2 * len(images),
        "points": accuracy + accuracy_plus,
        "accuracy": accuracy,
        "accuracy_plus": accuracy_plus,
        "unparsed": unparsed,
    }
