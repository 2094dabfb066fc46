"""Draw cost against relative performance: device-seconds of selection and finetuning.

Reads cost.csv and relative_performance.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from vlselect.figures import program, style
from vlselect.figures.key import Key
from vlselect.tables import declarations
from vlselect.tables.cost import beside_performance

MOST_LABELS = 14  # most points that are labelled one by one
TITLE = 250.0  # points for a panel's title
GROUND = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 0.6}
NOTE = (
    "Device-seconds: time of each job times its GPUs or processes, mean over seeds; a stage that "
    "several methods share counts for each."
)
PUBLISHED = "Time as published; pale bars: selection and finetuning together."


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost", type=Path, required=True)
    parser.add_argument("--performance", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def bars(axes: Axes, rows: list[dict], key: Key) -> None:
    """Draw each method's cost of selection (hatched) and finetuning (solid), and its marker."""
    outside = axes.get_yaxis_transform() + ScaledTranslation(
        -7 / 72, 0, axes.figure.dpi_scale_trans
    )
    for y, row in enumerate(rows):
        colour, text = key.colour(row["method"]), f"{row['total']:.0f}"
        if pd.notna(row["selection"] + row["finetuning"]):  # publications may state only the sum
            text = f"{row['selection']:.0f} + {row['finetuning']:.0f}"
            light = {"color": "white", "edgecolor": colour, "hatch": "//////", "linewidth": 0.8}
            axes.barh(y, row["selection"], height=0.6, **light)
            axes.barh(y, row["finetuning"], left=row["selection"], height=0.6, color=colour)
        else:
            axes.barh(y, row["total"], height=0.6, color=colour, alpha=0.5, linewidth=0)
        look = {"color": colour, "marker": key.marker(row["method"]), "markersize": 5}
        axes.plot(0, y, transform=outside, clip_on=False, **look)
        at = {"textcoords": "offset points", "va": "center", "fontsize": 8, "bbox": GROUND}
        axes.annotate(text, (row["total"], y), (4, 0), **at)
    axes.set_yticks(range(len(rows)), [key.subset(row["method"], row["ratio"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(0, 1.25 * max([100.0, *(row["total"] for row in rows)]))
    hatched = any(pd.notna(row["selection"]) and row["selection"] > 0 for row in rows)
    parts = "selection (hatched) + finetuning (solid)" if hatched else "selection + finetuning"
    axes.set_xlabel(f"{parts},\n% of finetuning on the full pool")
    style.grid(axes, "x")
    axes.tick_params(axis="y", pad=14)


def points(axes: Axes, rows: list[dict], key: Key) -> None:
    """Draw total cost against relative performance; a line joins the budgets of a method."""
    for method in dict.fromkeys(row["method"] for row in rows):
        own = sorted((row for row in rows if row["method"] == method), key=lambda r: r["total"])
        x, colour = [row["total"] for row in own], key.colour(method)
        y = [row["relative"] for row in own]
        axes.plot(x, y, color=colour, marker=key.marker(method), linewidth=0.8, zorder=3)
        axes.vlines(x, [r["low"] for r in own], [r["high"] for r in own], color=colour, lw=1.4)
    axes.axhline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(0, 1.08 * max([100.0, *(row["total"] for row in rows)]))
    axes.set_xlabel("selection + finetuning,\n% of finetuning on the full pool")
    axes.set_ylabel("relative performance,\n% of finetuning on the full pool")
    axes.margins(y=0.12)
    style.grid(axes, "both")


def draw(cost: pd.DataFrame, performance: pd.DataFrame, key: Key) -> Figure:
    """Draw both panels side by side for each model."""
    means = performance[performance["task"] == declarations.MEAN]
    means, interval = style.shown_intervals(means)
    joined = beside_performance(cost, means)
    models = list(dict.fromkeys(joined["model"]))
    if not models:
        figure = style.new_figure(2.0)
        style.empty(figure, "No costs were measured.")
        return figure
    parts = [joined[joined["model"] == model].to_dict("records") for model in models]
    heights = [max(3.4, 0.9 + 0.3 * len(rows)) for rows in parts]
    figure = style.new_figure(0.4 + sum(heights), width=10.0)
    look = {"squeeze": False, "width_ratios": [1.0, 1.1], "height_ratios": heights}
    panels = figure.subplots(len(models), 2, **look)
    for (left, right), model, rows in zip(panels, models, parts, strict=True):
        points(left, rows, key)
        bars(right, rows, key)
        left.set_title(style.model_title(model, TITLE))
        if len(rows) > MOST_LABELS:
            left.set_box_aspect(0.85)  # the bars are higher
            left.set_anchor("N")
    text = NOTE if joined["selection"].notna().all() else PUBLISHED
    text += " Each method's marker stands beside its bars."
    style.note(figure, text + (f" Vertical lines: {interval}." if interval else ""))
    style.settle(figure)
    for left, rows in zip(panels[:, 0], parts, strict=True):
        label_points(left, rows, key)
    return figure


def label_points(axes: Axes, rows: list[dict], key: Key) -> None:
    """Name the points, if they are few, as far as there is room for names."""
    known = [row for row in rows if pd.notna(row["relative"])]
    if len(known) <= MOST_LABELS:
        names = [key.subset(row["method"], row["ratio"]) for row in known]
        places = [(row["total"], row["relative"]) for row in known]
        colours = [key.colour(row["method"]) for row in known]
        style.label_points(
            axes, [(*p, n, c) for p, n, c in zip(places, names, colours, strict=True)]
        )


def main(argv: list[str] | None = None) -> None:
    tables = {"cost": "cost", "performance": "relative_performance"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
