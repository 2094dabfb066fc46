"""Terms of a score: its resampling units, and what each of them adds to it.

Every metric's score is a weighted sum of ratios of sums over samples (`Parts`): an accuracy is one
ratio, POPE's mean F1 has one for each category. A unit is what would be drawn again for another
test set: the samples of one image, or what the benchmark's own program scores as one.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, Parts

ROUNDING = 1e-6  # points between a score and the sum of its parts


def unit_scores(
    evaluation: Evaluation, examples: Sequence[Example]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Compute the units' pseudo-values, whose mean is the score; None if the parts do not add up.

    Parameters
    ----------
    evaluation : Evaluation
        Without `parts`, the score has to be the mean of the samples' scores.
    examples : sequence of mapping, length n
        If the parts have no units, samples with the same `images` are one unit, and each sample
        without an image is one.

    Returns
    -------
    units : int32 array, shape (n,)
        Number of the unit, from 0; −1 for samples outside the score.
    values : float64 array, shape (n,)
        The pseudo-value of the sample's unit in points of the score; NaN if the unit is −1. For a
        plain accuracy with one sample per unit, 100 · the sample's score.

    Notes
    -----
    With R = A / B the ratio of a group, the infinitesimal jackknife's value of unit u of U is score
    + U · Σ_groups weight · (A_u − R · B_u) / B. To first order, their variance over U is that of
    the score under drawing other units, for any metric.

    References
    ----------
    Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, section 6.3; Cochran
    (1977), Sampling Techniques, section 6.4 (ratio estimators) and 9A (clusters of unequal size).
    """
    parts = evaluation.parts or Parts(evaluation.scores, np.ones(len(evaluation.scores)))
    n = len(parts.numerator)
    group = np.zeros(n, dtype=int) if parts.group is None else np.asarray(parts.group)
    weight = np.asarray(parts.weight, dtype=np.float64)
    inside = group >= 0
    tops = np.bincount(group[inside], parts.numerator[inside], len(weight))
    bottoms = np.bincount(group[inside], parts.denominator[inside], len(weight))
    ratios = np.divide(tops, bottoms, out=np.zeros(len(weight)), where=bottoms > 0)
    if abs(weight @ ratios - evaluation.summary["score"]) > ROUNDING:
        return None
    scale = np.divide(weight, bottoms, out=np.zeros(len(weight)), where=bottoms > 0)[group]
    effects = np.where(inside, scale * (parts.numerator - ratios[group] * parts.denominator), 0.0)
    names = _images(examples) if parts.unit is None else parts.unit
    numbers: dict[Hashable, int] = {}
    units = np.full(n, -1, dtype=np.int32)
    for i in np.flatnonzero(inside):
        units[i] = numbers.setdefault(names[i], len(numbers))
    sums = np.bincount(units[inside], effects[inside], len(numbers))
    values = np.full(n, np.nan)
    values[inside] = evaluation.summary["score"] + len(numbers) * sums[units[inside]]
    return units, values


def _images(examples: Sequence[Example]) -> list[Hashable]:
    """Return each sample's images, or its position if it has none."""
    seen = []
    for i, example in enumerate(examples):
        images = example.get("images")
        seen.append(tuple(images) if images is not None and len(images) else i)
    return seen
