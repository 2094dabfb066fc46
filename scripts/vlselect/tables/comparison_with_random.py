"""Comparison of each method with random selection, with intervals and tests."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.tables.contrasts import Contrasts
from vlselect.tables.declarations import HIGHER, LOWER, MEAN, UNDECIDED

BASELINE = "random"


def holm(p: Sequence[float]) -> np.ndarray:
    """Correct p values for several comparisons (Holm), bounding the chance of any false positive.

    The k-th smallest of m tests is multiplied by m − k + 1, capped at 1, and at least the one
    before. NaN (no test) does not count and stays NaN. Returns float64, as long as `p`.

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
    """Return what an interval of a difference shows; undecided if it contains zero or is NaN."""
    if low > 0.0:
        return HIGHER
    return LOWER if high < 0.0 else UNDECIDED


def comparison_with_random(
    by_seed: pd.DataFrame, contrasts: Mapping[str, Contrasts]
) -> pd.DataFrame:
    """Compare every method with random selection at the same model and ratio.

    Seeds are not paired: runs of two methods with the same seed share nothing random. Questions
    are the same for all runs, and are paired.

    Parameters
    ----------
    by_seed : DataFrame
        From `relative.relative_by_seed`, not rounded.
    contrasts : mapping of model to Contrasts
        Of the same scores, from `contrasts.by_model`.

    Returns
    -------
    DataFrame
        ``comparison_with_random.csv`` in the order of `by_seed`, with a row for every model,
        method and ratio at which ``random`` was run.
    """
    means = by_seed[by_seed["task"] == MEAN]
    cells = means.groupby(["model", "method", "ratio"], sort=False).agg(
        mean=("relative", "mean"), size=("relative", "size"), tasks=("n_tasks", "first")
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
        numbers["n_tasks"] = int(own["tasks"])
        shown = {"p": interval.p(difference), "verdict": verdict(ends["low"], ends["high"])}
        rows.append(names | numbers | {"difference": difference} | ends | shown)
    for row, p_holm in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = float(p_holm)
    return pd.DataFrame(rows)
