"""Tables of a finished comparison, for the page that answers first."""

from vlselect.tables.comparison_with_random import verdict
from vlselect.tables.declarations import TABLES, write_table


def row(table, **values):
    """A row of a table, 0 or empty but for these values."""
    kinds = {name: kind for name, (kind, _) in TABLES[table].items()}
    return {name: "" if kind == "text" else 0 for name, kind in kinds.items()} | values


def write_tables(folder, methods, seeds, ratio):
    """Write the tables of a run in which each method is so many points above random.

    Returns the paths of those that compare: comparison, relative performance, cost.
    """
    compared, means, cost, composition = [], [], [], []
    for method, difference in methods.items():
        key = {"model": "small", "method": method, "ratio": ratio}
        ends = {"low": difference - 3, "high": difference + 3}
        if seeds == 1:
            ends = {"low": float("nan"), "high": float("nan")}
        worth = {"task": "mean", "n_seeds": seeds, "relative": 80 + difference}
        means.append(row("relative_performance", **key, **worth, **ends))
        if method != "random":
            shown = {"p_holm": 0.01 if seeds > 1 else float("nan")}
            shown["verdict"] = verdict(ends["low"], ends["high"])
            more = {"difference": difference} | shown | ends
            compared.append(row("comparison_with_random", **key, **more))
        for level in ("selection", "finetuning", "total"):
            named = {"level": level, "name": method, "model": "small", "ratio": ratio}
            cost.append(row("cost", **named, relative_to_full=12.5))
        named = {"method": method, "ratio": ratio, "seed": "0", "source": "<i>charts</i>"}
        composition.append(row("subset_composition", **named, n=6, share=1.0, pool_share=0.5))
    write_table(compared, "comparison_with_random", folder / "comparison.csv")
    write_table(means, "relative_performance", folder / "relative.csv")
    write_table(cost, "cost", folder / "cost.csv")
    write_table(composition, "subset_composition", folder / "composition.csv")
    return [folder / f"{name}.csv" for name in ("comparison", "relative", "cost")]
