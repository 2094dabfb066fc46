"""Draw cost against relative performance: device-seconds of selection and finetuning.

Reads cost.csv and relative_performance.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import style
from vlselect.tables import declarations
from vlselect.tables.cost import beside_performance

MOST_LABELS = 14  # most points that are labelled one by one
NOTE = (
    "Device-seconds: time of each job times its GPUs or processes, mean over seeds; a stage that "
    "several methods share counts for each."
)
PUBLISHED = "Time as published; pale bars: selection and finetuning together."


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost", type=Path, required=True)
    parser.add_argument("--performance", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def _colour(row: dict) -> str:
    return style.method_colour(row["method"])


def name_of(row: dict) -> str:
    """Return the method and, unless it is the full pool, its ratio."""
    name = style.method_name(row["method"])
    return (
        name
        if row["method"] == declarations.REFERENCE
        else f"{name}, {style.percent(row['ratio'])}"
    )


def bars(axes: Axes, rows: list[dict]) -> None:
    """Draw each method's cost of selection (hatched) and finetuning (solid)."""
    for y, row in enumerate(rows):
        colour, text = _colour(row), f"{row['total']:.0f}"
        if pd.notna(row["selection"]):  # publications may state only the sum
            text = f"{row['selection']:.0f} + {row['finetuning']:.0f}"
            light = {"color": "white", "edgecolor": colour, "hatch": "//////", "linewidth": 0.8}
            axes.barh(y, row["selection"], height=0.6, **light)
            axes.barh(y, row["finetuning"], left=row["selection"], height=0.6, color=colour)
        else:
            axes.barh(y, row["total"], height=0.6, color=colour, alpha=0.5, linewidth=0)
        at = {"textcoords": "offset points", "va": "center", "fontsize": 8}
        axes.annotate(text, (row["total"], y), (4, 0), **at)
    axes.set_yticks(range(len(rows)), [name_of(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(0, 1.22 * max([100.0, *(row["total"] for row in rows)]))
    axes.set_xlabel("selection (hatched) + finetuning (solid),\n% of finetuning on the full pool")
    style.grid(axes, "x")


def points(axes: Axes, rows: list[dict]) -> None:
    """Draw total cost against relative performance; a line joins the ratios of a method."""
    for method in dict.fromkeys(row["method"] for row in rows):
        own = sorted((row for row in rows if row["method"] == method), key=lambda r: r["total"])
        x, colour = [row["total"] for row in own], _colour(own[0])
        y = [row["relative"] for row in own]
        axes.plot(x, y, color=colour, marker=style.method_marker(method), linewidth=0.8, zorder=3)
        axes.vlines(x, [r["low"] for r in own], [r["high"] for r in own], color=colour, lw=1.4)
    axes.axhline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(0, 1.08 * max([100.0, *(row["total"] for row in rows)]))
    axes.set_xlabel("selection + finetuning,\n% of finetuning on the full pool")
    axes.set_ylabel("relative performance,\n% of finetuning on the full pool")
    axes.margins(y=0.12)
    style.grid(axes, "both")


def draw(cost: pd.DataFrame, performance: pd.DataFrame) -> Figure:
    """Draw both panels side by side for each model."""
    means = performance[performance["task"] == declarations.MEAN]
    means, interval = style.shown_intervals(means)
    joined = beside_performance(cost, means)
    models = list(dict.fromkeys(joined["model"]))
    if not models:
        figure = style.new_figure(2.0)
        style.empty(figure, "No costs were measured.")
        return figure
    height = max(3.4, 0.9 + 0.3 * len(joined) / len(models))
    figure = style.new_figure(0.4 + height * len(models), width=10.0)
    panels = figure.subplots(len(models), 2, squeeze=False, width_ratios=[1.1, 1.0])
    labelled = []
    for (left, right), model in zip(panels, models, strict=True):
        rows = joined[joined["model"] == model].to_dict("records")
        points(left, rows)
        bars(right, rows)
        left.set_title(f"model: {model}")
        if len(rows) > MOST_LABELS:
            left.set_box_aspect(0.85)  # the bars are higher: room for a legend below the points
            left.set_anchor("N")
            style.legend_below(left, [row["method"] for row in rows])
        else:
            places = [(row["total"], row["relative"], name_of(row), _colour(row)) for row in rows]
            labelled.append((left, places))
    text = NOTE if joined["selection"].notna().all() else PUBLISHED
    text += f" {style.mean_note(performance)}."
    style.note(figure, text + (f" Vertical lines: {interval}." if interval else ""))
    for axes, places in labelled:
        style.label_points(axes, places)
    return figure


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    cost = declarations.read_table(args.cost, "cost")
    performance = declarations.read_table(args.performance, "relative_performance")
    with style.applied():
        style.save(draw(cost, performance), args.png, args.svg)


if __name__ == "__main__":
    main()
