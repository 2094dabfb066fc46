"""Draw the spread of scores within each source, and the share of the source that they select.

It shows why a single score biases a coreset: sources differ in their scores for reasons unrelated
to the value of a sample. Reads score_distribution.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vlselect.figures import program, style, words
from vlselect.figures.key import Key

MOST = 16  # sources shown; smaller ones are left out, and a note says so
COLUMNS = 2
SIZE = 7.5  # points of numbers
LONGEST = 120.0  # points of a source's name
PANEL = 2.7  # inches of a panel without its numbers, at least
DECADES = 30  # a score this many times the median makes the axis logarithmic


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distribution", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def boxes(axes: Axes, facts: pd.DataFrame, colour: str) -> None:
    """Draw a box for every source: 5 to 95 % (line), 25 to 75 % (box), median (tick)."""
    known = facts[facts["n_scored"] > 0]
    axes.hlines(known.index, known["low"], known["high"], color=colour, linewidth=1.0)
    width, box = known["three_quarters"] - known["quarter"], {"alpha": 0.35, "linewidth": 0}
    axes.barh(known.index, width, left=known["quarter"], height=0.62, color=colour, **box)
    tick = {"marker": "|", "s": 80, "linewidth": 2, "zorder": 3}
    axes.scatter(known["median"], known.index, color=colour, **tick)
    at = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 7}
    for y in facts.index.difference(known.index):
        axes.text(0.02, y, "no score", color=style.GREY, **at)


def shares(axes: Axes, own: pd.DataFrame, sources: list[str], key: Key) -> None:
    """Write the chosen share of each source to the right, a column for each budget.

    The columns' heads, which are as far to the right, make room for them in the layout.
    """
    side = {"textcoords": "offset points", "ha": "right", "fontsize": SIZE}
    right = 0.0
    for ratio in dict.fromkeys(own["ratio"]):
        right += column_width(ratio, key)
        subset = own[own["ratio"] == ratio]
        whole = (subset["chosen"] * subset["n"]).sum() / subset["n"].sum()
        chosen = subset.groupby("source")["chosen"].mean()
        head = {"xycoords": "axes fraction", "color": style.GREY, **side}
        axes.annotate(key.budget_lines(ratio), (1, 1), (right, 3), **head)
        for y, source in enumerate(sources):
            skewed = not 0.5 * whole <= chosen[source] <= 2.0 * whole
            look = {"va": "center", "fontweight": "bold" if skewed else "normal"}
            row = (1, y), (right, 0), axes.get_yaxis_transform()
            axes.annotate(f"{100 * chosen[source]:.0f}", *row, in_layout=False, **side, **look)


def column_width(ratio: str, key: Key) -> float:
    """Return the width in points of a budget's column of numbers."""
    return max(27.0, 9.0 + words.width(key.budget_lines(ratio), SIZE))


def spans_decades(facts: pd.DataFrame) -> bool:
    """Return whether scores are positive and some are far above most, as on a logarithmic axis."""
    return bool(facts["low"].min() > 0 and facts["high"].max() > DECADES * facts["median"].median())


def draw_method(axes: Axes, own: pd.DataFrame, sources: list[str], key: Key) -> None:
    method = own["method"].iloc[0]
    facts = style.first_seed(own).drop_duplicates("source").set_index("source").loc[sources]
    if spans_decades(facts):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(axis="x", nbins=5)
    boxes(axes, facts.reset_index(), key.colour(method))
    shares(axes, own, sources, key)
    axes.set_yticks(range(len(sources)), words.fitted(sources, LONGEST))
    axes.set_ylim(len(sources) - 0.4, -0.6)
    axes.set_title(key.method(method), color=key.colour(method))
    axes.margins(x=0.04)
    axes.tick_params(axis="x", labelsize=SIZE)
    style.grid(axes, "x")


def draw(distribution: pd.DataFrame, key: Key) -> Figure:
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
    beside = sum(column_width(ratio, key) for ratio in dict.fromkeys(distribution["ratio"])) / 72
    width = max(style.WIDTH if columns == 1 else 9.0, 1.9 + columns * (PANEL + beside))
    figure = style.new_figure(1.0 + rows * (0.75 + 0.21 * len(sources)), width=width)
    panels = figure.subplots(rows, columns, squeeze=False)
    for i, axes in enumerate(panels.flat):
        if i >= len(methods):
            axes.set_visible(False)
            continue
        draw_method(axes, distribution[distribution["method"] == methods[i]], sources, key)
        if i % columns:
            axes.set_yticklabels([])
    style.note(figure, _small_print(len(every) - len(sources)))
    return figure


def _small_print(left_out: int) -> str:
    """Return a note that explains boxes and numbers."""
    text = (
        "Scores of the pool's samples by source, of the first seed: median, 25 to 75 % (box), "
        "5 to 95 % (line).\nNumbers: % of the source's samples that the method takes within the "
        "budget above, mean over seeds;\nbold: less than half or more than twice the share that "
        "it takes of the whole pool."
    )
    return f"{text}\nThe {left_out} smallest sources are left out." if left_out else text


def main(argv: list[str] | None = None) -> None:
    tables = {"distribution": "score_distribution"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
