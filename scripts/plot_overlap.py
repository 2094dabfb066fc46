"""Draw the overlap of the methods' subsets: the Jaccard index of every pair, for each ratio.

Reads subset_overlap.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import style
from vlselect.tables import declarations

NUMBERS_UP_TO = 16  # methods; more would not be readable
COLUMNS = 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--overlap", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def triangle(overlap: pd.DataFrame, methods: list[str]) -> np.ndarray:
    """Return Jaccard indices of pairs, mean over seeds, below the diagonal of an (M, M) matrix."""
    values = np.full((len(methods), len(methods)), np.nan)
    pairs = overlap.groupby(["method_a", "method_b"], sort=False)["jaccard"].mean()
    for pair, value in pairs.items():
        high, low = sorted(methods.index(method) for method in pair)
        values[low, high] = value
    return values


def by_chance(overlap: pd.DataFrame) -> float:
    """Return the Jaccard index expected for two random subsets of these sizes; NaN if unknown."""
    known = overlap[(overlap["jaccard"] > 0) & (overlap["n_common"] > 0)]
    if known.empty:
        return float("nan")
    row = known.iloc[0]
    sizes = row["n_common"] / row["jaccard"] + row["n_common"]  # |A ∪ B| + |A ∩ B| = |A| + |B|
    return float(row["expected_by_chance"] / (sizes - row["expected_by_chance"]))


def heat_map(axes: Axes, methods: list[str], values: np.ndarray, top: float) -> None:
    """Draw squares below the diagonal, with their numbers."""
    axes.imshow(values[1:, :-1], cmap="Oranges", vmin=0.0, vmax=top)
    for (a, b), value in np.ndenumerate(values[1:, :-1]):
        if len(methods) <= NUMBERS_UP_TO and np.isfinite(value):
            colour = "white" if value > 0.6 * top else style.INK
            text = f"{value:.2f}".removeprefix("0") if value < 0.995 else "1"
            axes.text(b, a, text, ha="center", va="center", fontsize=7.5, color=colour)
    names = [style.method_name(method) for method in methods]
    upright = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(methods) - 1), names[:-1], **upright)
    axes.set_yticks(range(len(methods) - 1), names[1:])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def draw(overlap: pd.DataFrame) -> Figure:
    """Draw a panel for each ratio, all on the same scale."""
    overlap = overlap[~overlap[["method_a", "method_b"]].isin([declarations.REFERENCE]).any(axis=1)]
    ratios = sorted(dict.fromkeys(overlap["ratio"]), key=declarations.ratio_order)
    if not ratios:
        figure = style.new_figure(2.0)
        style.empty(figure, "No two methods have the same ratio and seed.")
        return figure
    pairs = overlap[["method_a", "method_b"]].to_numpy().ravel()
    count, top = len(set(pairs)), max(0.2, float(overlap["jaccard"].max()))
    side = max(2.0, (0.36 if count <= NUMBERS_UP_TO else 0.22) * (count - 1))
    columns = min(COLUMNS, len(ratios))
    rows = -(-len(ratios) // columns)
    figure = style.new_figure(rows * (side + 1.4) + 0.3, width=columns * (side + 1.3) + 0.9)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(ratios) :]:
        axes.set_visible(False)
    for axes, ratio in zip(panels, ratios, strict=False):
        own = overlap[overlap["ratio"] == ratio]
        methods = list(dict.fromkeys([*own["method_a"], *own["method_b"]]))
        heat_map(axes, methods, triangle(own, methods), top)
        axes.set_title(f"{style.percent(ratio)} (by chance {by_chance(own):.2f})")
    bar = figure.colorbar(panels[0].images[0], ax=panels.tolist(), shrink=0.6, pad=0.02)
    bar.outline.set_visible(False)
    seeds = style.seed_list(overlap["seed"])
    style.note(figure, f"Jaccard index: samples in both / in either subset.\nSelection {seeds}.")
    return figure


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    overlap = declarations.read_table(args.overlap, "subset_overlap")
    with style.applied():
        style.save(draw(overlap), args.png, args.svg)


if __name__ == "__main__":
    main()
