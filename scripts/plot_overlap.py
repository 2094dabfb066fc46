"""Draw the overlap of the methods' subsets: the Jaccard index of every pair, for each ratio.

Reads subset_overlap.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import program, style
from vlselect.figures.key import Key
from vlselect.tables import declarations

NUMBERS_UP_TO = 16  # methods; more would not be readable
COLUMNS = 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--overlap", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def triangle(overlap: pd.DataFrame, methods: list[str]) -> np.ndarray:
    """Return Jaccard indices of pairs, mean over seeds, below the diagonal of an (M, M) matrix."""
    values = np.full((len(methods), len(methods)), np.nan)
    pairs = overlap.groupby(["method_a", "method_b"], sort=False)["jaccard"].mean()
    for pair, value in pairs.items():
        high, low = sorted(methods.index(method) for method in pair)
        values[low, high] = value
    return values


def by_chance(overlap: pd.DataFrame) -> str:
    """Return the Jaccard index expected for two random subsets, of the sizes of each pair here.

    "" if no pair has a sample in common, since the table then does not tell their sizes.
    """
    known = overlap[(overlap["jaccard"] > 0) & (overlap["n_common"] > 0)]
    if known.empty:
        return ""
    sizes = (
        known["n_common"] / known["jaccard"] + known["n_common"]
    )  # |A ∪ B| + |A ∩ B| = |A| + |B|
    expected = known["expected_by_chance"] / (sizes - known["expected_by_chance"])
    low, high = f"{expected.min():.2f}", f"{expected.max():.2f}"
    return f"by chance {low}" if low == high else f"by chance {low} to {high}"


def heat_map(
    axes: Axes, methods: list[str], values: np.ndarray, top: float, names: list[str]
) -> None:
    """Draw squares below the diagonal, with their numbers."""
    image = axes.imshow(values[1:, :-1], cmap="Oranges", vmin=0.0, vmax=top)
    for (a, b), value in np.ndenumerate(values[1:, :-1]):
        if len(methods) <= NUMBERS_UP_TO and np.isfinite(value):
            colour = style.readable_on(image.cmap(image.norm(value)))
            text = f"{value:.2f}".removeprefix("0") if value < 0.995 else "1"
            axes.text(b, a, text, ha="center", va="center", fontsize=7.5, color=colour)
    upright = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(methods) - 1), names[:-1], **upright)
    axes.set_yticks(range(len(methods) - 1), names[1:])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def draw(overlap: pd.DataFrame, key: Key) -> Figure:
    """Draw a panel for each budget, all on the same scale."""
    overlap = overlap[~overlap[["method_a", "method_b"]].isin([declarations.REFERENCE]).any(axis=1)]
    ratios = key.in_order(overlap["ratio"])
    if not ratios:
        figure = style.new_figure(2.0)
        style.empty(figure, "No two methods have the same budget and seed.")
        return figure
    count = len(set(overlap[["method_a", "method_b"]].to_numpy().ravel()))
    top = float(np.nanmax([0.2, *overlap["jaccard"]]))
    side = max(2.4, (0.36 if count <= NUMBERS_UP_TO else 0.22) * (count - 1))
    columns = min(COLUMNS, len(ratios))
    rows = -(-len(ratios) // columns)
    figure = style.new_figure(rows * (side + 1.6) + 0.3, width=columns * (side + 1.3) + 0.9)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(ratios) :]:
        axes.set_visible(False)
    for axes, ratio in zip(panels, ratios, strict=False):
        own = overlap[overlap["ratio"] == ratio]
        methods = list(dict.fromkeys([*own["method_a"], *own["method_b"]]))
        names = [key.method(method) for method in methods]
        heat_map(axes, methods, triangle(own, methods), top, names)
        axes.set_title("\n".join([key.budget(ratio), by_chance(own)]).rstrip())
    bar = figure.colorbar(panels[0].images[0], ax=panels.tolist(), shrink=0.6, pad=0.02)
    bar.outline.set_visible(False)
    seeds = style.over_seeds(overlap["seed"])
    style.note(figure, f"Jaccard index: samples in both / in either subset; {seeds}.")
    return figure


def main(argv: list[str] | None = None) -> None:
    tables = {"overlap": "subset_overlap"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
