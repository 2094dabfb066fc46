"""Average normalised Levenshtein similarity: partial credit for answers that are nearly right.

DocVQA, InfographicVQA and other reading benchmarks use it.
"""

from collections.abc import Sequence

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, pairs, summarise


def evaluate(
    predictions: Sequence[str], examples: Sequence[Example], *, threshold: float = 0.5
) -> Evaluation:
    """Score each prediction by its similarity to the closest reference answer.

    Parameters
    ----------
    threshold : float
        Normalised distance from which on a prediction scores 0.

    References
    ----------
    Biten et al., Scene Text Visual Question Answering, ICCV 2019 (arXiv 1905.13648), eq. 1; Mathew
    et al., DocVQA, WACV 2021 (arXiv 2007.00398). Case and the width of blanks are ignored, as in
    the programs for DocVQA.
    """
    return summarise(
        [
            max(similarity(prediction, answer, threshold) for answer in answers)
            for prediction, answers, _ in pairs(predictions, examples)
        ]
    )


def similarity(prediction: str, answer: str, threshold: float) -> float:
    """Return 1 − edit distance / length of the longer text; 0 from `threshold` on."""
    guess, truth = (" ".join(text.lower().split()) for text in (prediction, answer))
    longer = max(len(guess), len(truth))
    if not longer:
        return 1.0
    if (
        abs(len(guess) - len(truth)) >= threshold * longer
    ):  # at least so many insertions or deletions
        return 0.0
    distance = edit_distance(guess, truth) / longer
    return 1 - distance if distance < threshold else 0.0


def edit_distance(first: str, second: str) -> int:
    """Return the fewest insertions, deletions and substitutions of a letter between two texts.

    References
    ----------
    Wagner and Fischer, The string-to-string correction problem, JACM 1974.
    """
    row = list(range(len(second) + 1))  # distances of first[:i] to each beginning of `second`
    for i, letter in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, start=1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (letter != other))
            diagonal, row[j] = row[j], best
    return row[-1]
