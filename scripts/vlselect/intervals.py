"""Means and their intervals over seeds."""

from collections.abc import Sequence

import numpy as np
from scipy import special  # scipy.stats would take a second to import


def t_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of a few independent values and its two-sided Student t interval.

    Parameters
    ----------
    values : sequence of float
        One value per seed.
    confidence : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    mean, low, high : float
        ``mean ± t(n − 1) · s / √n`` with the sample standard deviation s (n − 1 in the
        denominator). `low` and `high` are NaN for a single value: one seed has no spread.

    Raises
    ------
    ValueError
        If there is no value, one is not finite, or `confidence` is out of range.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError(f"an interval needs one or more finite values, got {values!r}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    mean = float(sample.mean())
    if sample.size == 1:
        return mean, float("nan"), float("nan")
    quantile = special.stdtrit(sample.size - 1, (1.0 + confidence) / 2.0)
    half = float(quantile * sample.std(ddof=1) / np.sqrt(sample.size))
    return mean, mean - half, mean + half
