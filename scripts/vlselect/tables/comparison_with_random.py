"""How each method compares with random selection, and how sure one can be of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.tables.contrasts import Contrasts
from vlselect.tables.declarations import HIGHER, LOWER, MEAN, UNDECIDED

BASELINE = "random"


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


def comparison_with_random(
    by_seed: pd.DataFrame, contrasts: Mapping[str, Contrasts]
) -> pd.DataFrame:
    """Compare every method with random selection at the same model and ratio.

    Not paired by seed: a seed moves other things in another method, so runs of the same seed share
    nothing. Questions are the same ones, and are paired.

    Parameters
    ----------
    by_seed : DataFrame
        As `relative_performance.relative_by_seed` returns it, not rounded.
    contrasts : mapping of model to Contrasts
        Of the same scores, see `contrasts.by_model`.

    Returns
    -------
    DataFrame
        The columns of ``comparison_with_random.csv``: a row for every model, method and ratio at
        which there is ``random``, in the order of `by_seed`. `p_holm` is corrected for all tests in
        the table.
    """
    means = by_seed[by_seed["task"] == MEAN]
    cells = means.groupby(["model", "method", "ratio"], sort=False)["relative"].agg(
        ["mean", "size"]
    )
    rows = []
    for (model, method, ratio), own in cells.iterrows():
        if method == BASELINE or (model, BASELINE, ratio) not in cells.index:
            continue
        random, of_model = cells.loc[(model, BASELINE, ratio)], contrasts[model]
        difference = own["mean"] - random["mean"]
        weights = of_model.relative(method, ratio) - of_model.relative(BASELINE, ratio)
        interval = of_model.interval(weights)
        ends = interval.columns(difference)
        names = {"model": model, "method": method, "ratio": ratio}
        numbers = {"n_seeds": int(own["size"]), "n_seeds_random": int(random["size"])}
        shown = {"p": interval.p(difference), "verdict": verdict(ends["low"], ends["high"])}
        rows.append(names | numbers | {"difference": difference} | ends | shown)
    for row, p_holm in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = float(p_holm)
    return pd.DataFrame(rows)
