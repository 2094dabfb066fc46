"""Draw the spread of scores within each source, and the share of the source that they select.

It shows why a single score biases a coreset: sources differ in their scores for reasons unrelated
to the value of a sample. Reads score_distribution.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import style
from vlselect.tables import declarations

MOST = 16  # sources shown; smaller ones are left out, and a note says so
COLUMNS = 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distribution", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def boxes(axes: Axes, facts: pd.DataFrame, colour: str) -> None:
    """Draw a box for every source: 5 to 95 % (line), 25 to 75 % (box), median (tick)."""
    for y, row in enumerate(facts.to_dict("records")):
        if row["n_scored"] == 0:
            at = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 7}
            axes.text(0.02, y, "no score", color=style.GREY, **at)
            continue
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.0)
        width = row["three_quarters"] - row["quarter"]
        box = {"color": colour, "alpha": 0.35, "linewidth": 0}
        axes.barh(y, width, left=row["quarter"], height=0.62, **box)
        axes.scatter(row["median"], y, marker="|", s=80, color=colour, linewidth=2, zorder=3)


def shares(axes: Axes, own: pd.DataFrame, sources: list[str]) -> None:
    """Write the chosen share of each source to the right, a column for each ratio."""
    side = {"textcoords": "offset points", "ha": "right", "fontsize": 7.5}
    for i, ratio in enumerate(dict.fromkeys(own["ratio"])):
        chosen = own[own["ratio"] == ratio].groupby("source")["chosen"].mean()
        x = 28 + 27 * i
        name, grey = style.percent(ratio).replace(" ", ""), {"color": style.GREY}
        axes.annotate(name, (1, 1), (x, 3), xycoords="axes fraction", **side, **grey)
        for y, source in enumerate(sources):
            skewed = not 0.5 <= chosen[source] / float(ratio) <= 2.0
            look = {"va": "center", "fontweight": "bold" if skewed else "normal"}
            row = (1, y), (x, 0), axes.get_yaxis_transform()
            axes.annotate(f"{100 * chosen[source]:.0f}", *row, **side, **look)


def draw_method(axes: Axes, own: pd.DataFrame, sources: list[str]) -> None:
    method = own["method"].iloc[0]
    facts = style.first_seed(own).drop_duplicates("source").set_index("source")
    boxes(axes, facts.loc[sources].reset_index(), style.method_colour(method))
    shares(axes, own, sources)
    axes.set_yticks(range(len(sources)), sources)
    axes.set_ylim(len(sources) - 0.4, -0.6)
    axes.set_title(style.method_name(method), color=style.method_colour(method), pad=14)
    axes.margins(x=0.04)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="x", labelsize=7.5)
    style.grid(axes, "x")


def draw(distribution: pd.DataFrame) -> Figure:
    """Draw a panel for each method."""
    methods = list(dict.fromkeys(distribution["method"]))
    every = list(dict.fromkeys(distribution["source"]))
    sources = every[:MOST]
    if not methods:
        figure = style.new_figure(2.0)
        style.empty(figure, "No method of this run scores every sample.")
        return figure
    columns = min(COLUMNS, len(methods))
    rows = -(-len(methods) // columns)
    figure = style.new_figure(
        0.7 + rows * (0.75 + 0.21 * len(sources)), width=7.2 if columns == 1 else 9.0
    )
    panels = figure.subplots(rows, columns, squeeze=False)
    for i, axes in enumerate(panels.flat):
        if i >= len(methods):
            axes.set_visible(False)
            continue
        draw_method(axes, distribution[distribution["method"] == methods[i]], sources)
        if i % columns:
            axes.set_yticklabels([])
    style.note(figure, _small_print(len(every) - len(sources)))
    return figure


def _small_print(left_out: int) -> str:
    """Return a note that explains boxes and numbers."""
    text = (
        "Scores of the pool's samples by source, of the first seed: median, 25 to 75 % (box), "
        "5 to 95 % (line).\nNumbers: % of the source's samples that the method takes at the ratio "
        "above, mean over seeds;\nbold: less than half or more than twice the ratio."
    )
    return f"{text}\nThe {left_out} smallest sources are left out." if left_out else text


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    distribution = declarations.read_table(args.distribution, "score_distribution")
    with style.applied():
        style.save(draw(distribution), args.png, args.svg)


if __name__ == "__main__":
    main()
