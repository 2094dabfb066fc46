"""How each method compares with random selection, seed by seed, and how sure one can be of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from vlselect.intervals import t_interval
from vlselect.tables import HIGHER, LOWER, MEAN, UNDECIDED

BASELINE = "random"
NO_SPREAD = 1e-9  # points; differences this close to each other count as equal: what is left is
# rounding, and a t test on it would be sure of anything


def paired_t_test(differences: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean of paired differences, its 95 % t interval and the two-sided p of the paired t test.

    Parameters
    ----------
    differences : sequence of float
        One difference per pair.

    Returns
    -------
    mean, low, high, p : float
        ``t = mean / (s / √n)`` with n − 1 degrees of freedom. `low`, `high` and `p` are NaN for
        a single pair, and where all differences are equal (the spread that the test divides by
        is zero): neither says how far the mean may be off.

    Raises
    ------
    ValueError
        If there is no difference, or one is not finite.

    References
    ----------
    Student (1908), The probable error of a mean, Biometrika 6, section IX (paired comparisons).
    """
    mean, low, high = t_interval(differences)
    sample = np.asarray(differences, dtype=np.float64)
    nothing = float("nan")
    if np.ptp(sample) <= NO_SPREAD:  # also of a single pair
        return mean, nothing, nothing, nothing
    statistic = mean / (sample.std(ddof=1) / np.sqrt(sample.size))
    return mean, low, high, float(2.0 * special.stdtr(sample.size - 1, -abs(statistic)))


def holm(p: Sequence[float]) -> np.ndarray:
    """Correct p for several comparisons, so that the chance of any false win stays bounded.

    Parameters
    ----------
    p : sequence of float, length m
        Uncorrected p; NaN where there was no test. Those are not counted and stay NaN.

    Returns
    -------
    float64 array, shape (m,)
        The k-th smallest of the m' tests, times m' − k + 1, at most 1, and never below that of a
        smaller p.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6.
    """
    values = np.asarray(p, dtype=np.float64)
    corrected = np.full(values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return corrected


def verdict(low: float, high: float) -> str:
    """What an interval of a difference shows: nothing, where it holds zero or does not exist."""
    if low > 0.0:
        return HIGHER
    return LOWER if high < 0.0 else UNDECIDED


def comparison_with_random(by_seed: pd.DataFrame) -> pd.DataFrame:
    """Compare every method with random selection at the same model and ratio, paired by seed.

    Parameters
    ----------
    by_seed : DataFrame
        As `relative.relative_by_seed` returns it, not rounded.

    Returns
    -------
    DataFrame
        The columns of ``comparison_with_random.csv``: a row for every model, method and ratio
        that shares at least one seed with ``random``, in the order of `by_seed`. `p_holm` is
        corrected for all tests in the table.
    """
    means = by_seed[by_seed["task"] == MEAN]
    own = means[means["method"] != BASELINE]
    random = means[means["method"] == BASELINE]
    keys = ["model", "ratio", "seed"]
    pairs = own.merge(random[[*keys, "relative"]], on=keys, how="inner", suffixes=("", "_random"))
    pairs["difference"] = pairs["relative"] - pairs["relative_random"]
    rows = []
    for key, pair in pairs.groupby(["model", "method", "ratio"], sort=False):
        mean, low, high, p = paired_t_test(pair["difference"].to_numpy())
        names = dict(zip(("model", "method", "ratio"), key, strict=True))
        numbers = {"n_seeds": len(pair), "difference": mean, "low": low, "high": high, "p": p}
        rows.append(names | numbers | {"verdict": verdict(low, high)})
    for row, p_holm in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = float(p_holm)
    return pd.DataFrame(rows)
