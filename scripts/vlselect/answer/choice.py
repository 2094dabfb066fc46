"""Which subset a run speaks for: what its own comparison with `random` shows, and at what cost.

One answer for each finetuned model and each share of the pool. A method is shown to be above
`random` only if its interval excludes zero and stays so for the number of comparisons (Holm); where
none is, `random` is the answer, since it costs nothing to choose.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from vlselect.tables.comparison_with_random import BASELINE
from vlselect.tables.declarations import HIGHER, LOWER, MEAN, REFERENCE

ALPHA = 0.05
NAN = float("nan")
KEYS = ["model", "method", "ratio"]
NOISE = 0.1  # share by which the same jobs' seconds may differ between two runs


@dataclass(frozen=True)
class Row:
    """A method at one share of the pool: its worth and its cost; NaN where that is not known.

    `difference` is from `random`, in points of `relative`, with its 95 % interval; `relative` is
    the score in percent of finetuning on the whole pool. Costs are in percent of that finetuning.
    """

    method: str
    n_seeds: int = 0
    difference: float = NAN
    low: float = NAN
    high: float = NAN
    p_holm: float = NAN
    verdict: str = ""
    relative: float = NAN
    relative_low: float = NAN
    relative_high: float = NAN
    selection: float = NAN
    finetuning: float = NAN
    total: float = NAN

    @property
    def above(self) -> bool:
        """Whether it is shown to be above `random`."""
        return self.verdict == HIGHER and self.p_holm <= ALPHA

    @property
    def pays_off(self) -> int | None:
        """Finetunings from which on choosing costs less than finetuning on everything each time.

        None if it never does, or is not known.
        """
        saved = 100.0 - self.finetuning
        if not saved > 0 or math.isnan(self.selection):
            return None
        return max(1, math.ceil(self.selection / saved))


@dataclass(frozen=True)
class Choice:
    """The answer for one model and one share of the pool.

    `alike` are methods shown to be above `random` too, which no test here tells from the chosen.
    """

    model: str
    ratio: str
    rows: Sequence[Row]
    method: str
    alike: Sequence[str] = ()

    @property
    def row(self) -> Row:
        """Row of the chosen method."""
        return self.of(self.method)

    @property
    def tested(self) -> bool:
        """Whether any difference has an interval."""
        return any(not math.isnan(row.low) for row in self.rows)

    def of(self, method: str) -> Row:
        """Return the row of a method."""
        return next(row for row in self.rows if row.method == method)


def choices(
    comparison: pd.DataFrame, performance: pd.DataFrame, cost: pd.DataFrame
) -> list[Choice]:
    """Choose at each model and ratio at which methods were compared with `random`.

    Parameters
    ----------
    comparison, performance, cost : DataFrame
        ``comparison_with_random.csv``, ``relative_performance.csv`` and ``cost.csv``.

    Returns
    -------
    list of Choice
        In the order of the comparison.
    """
    means = performance[performance["task"] == MEAN].set_index(KEYS)
    costs = cost[cost["level"].isin(("selection", "finetuning", "total"))]
    costs = costs.pivot(
        index=["model", "name", "ratio"], columns="level", values="relative_to_full"
    )
    found = []
    for (model, ratio), group in comparison.groupby(["model", "ratio"], sort=False):
        own = group.set_index("method")
        rows = [
            _row(own, means, costs, (model, method, ratio)) for method in (BASELINE, *own.index)
        ]
        found.append(_choose(model, ratio, rows))
    return found


def main_choice(found: Sequence[Choice]) -> Choice:
    """Return the one to name first: shown to be above `random`, then the highest score."""
    return max(found, key=lambda choice: (choice.row.above, choice.row.relative))


def below(choice: Choice) -> list[str]:
    """Return the methods that are shown to be below `random`."""
    return [row.method for row in choice.rows if row.verdict == LOWER and row.p_holm <= ALPHA]


def uncorrected(choice: Choice) -> list[str]:
    """Return those above `random` by their own interval, but not for so many comparisons."""
    return [row.method for row in choice.rows if row.verdict == HIGHER and not row.above]


def _row(
    own: pd.DataFrame, means: pd.DataFrame, costs: pd.DataFrame, key: tuple[str, str, str]
) -> Row:
    method = key[1]
    values: dict = {"n_seeds": int(means.loc[key, "n_seeds"])}
    values |= {"relative": means.loc[key, "relative"]}
    values |= {f"relative_{end}": means.loc[key, end] for end in ("low", "high")}
    if method in own.index:
        columns = ("difference", "low", "high", "p_holm", "verdict")
        values |= {name: own.loc[method, name] for name in columns}
    if key in costs.index:
        values |= {name: costs.loc[key, name] for name in costs.columns}
    return Row(method, **values)


def _choose(model: str, ratio: str, rows: Sequence[Row]) -> Choice:
    """Take the best of those above `random`; of those that overlap with it, one that costs least.

    Costs are measured: of those that differ by less than `NOISE`, the best is taken.
    """
    above = [row for row in rows if row.above and row.method != REFERENCE]
    if not above:
        return Choice(model, ratio, rows, BASELINE)
    best = max(above, key=lambda row: row.difference)
    near = [row for row in above if row.high >= best.low and best.high >= row.low]
    if not any(math.isnan(row.total) for row in near):
        least = min(row.total for row in near)
        cheap = [row for row in near if row.total <= least * (1 + NOISE)]
        best = max(cheap, key=lambda row: row.difference)
    return Choice(model, ratio, rows, best.method, [r.method for r in near if r != best])
