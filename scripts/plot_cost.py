"""Draw cost against relative performance: selection and finetuning, by wall-clock time.

Reads cost.csv and relative_performance.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect import costs, style, tables


def build_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost", type=Path, required=True)
    parser.add_argument("--performance", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def _cost(row: dict) -> float:
    """Selection and finetuning together."""
    return row["selection"] + row["finetuning"]


def _colour(row: dict) -> str:
    return style.method_colour(row["method"])


def name_of(row: dict) -> str:
    """Method and, where it chooses, ratio."""
    name = style.method_name(row["method"])
    return name if row["method"] == tables.REFERENCE else f"{name}, {style.percent(row['ratio'])}"


def bars(axes: Axes, rows: list[dict]) -> None:
    """What each method spends on selection (hatched) and on finetuning (solid)."""
    for y, row in enumerate(rows):
        colour = _colour(row)
        light = {"color": "white", "edgecolor": colour, "hatch": "//////", "linewidth": 0.8}
        axes.barh(y, row["selection"], height=0.6, **light)
        axes.barh(y, row["finetuning"], left=row["selection"], height=0.6, color=colour)
        text = f"{row['selection']:.0f} + {row['finetuning']:.0f}"
        axes.annotate(
            text, (_cost(row), y), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(rows)), [name_of(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(0, 1.22 * max(100.0, *map(_cost, rows)))
    axes.set_xlabel("selection (hatched) + finetuning (solid),\n% of finetuning on the full pool")
    style.grid(axes, "x")


def points(axes: Axes, rows: list[dict]) -> None:
    """Cost of both parts together against what is kept."""
    for row in rows:
        colour, x = _colour(row), _cost(row)
        if row["low"] == row["low"]:
            axes.plot([x, x], [row["low"], row["high"]], color=colour, linewidth=1.6)
        axes.scatter(x, row["relative"], s=36, color=colour, zorder=3)
    axes.axhline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(0, 1.08 * max(100.0, *map(_cost, rows)))
    axes.set_xlabel("selection + finetuning, wall-clock time,\n% of finetuning on the full pool")
    axes.set_ylabel("relative performance,\n% of finetuning on the full pool")
    axes.margins(y=0.12)
    style.grid(axes, "both")


def draw(cost: pd.DataFrame, performance: pd.DataFrame) -> Figure:
    """For each model both views, side by side."""
    joined = costs.beside_performance(cost, performance)
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
        labelled.append((left, rows))
    style.note(
        figure,
        "Wall-clock time of the jobs one after another, mean over seeds; a stage that several "
        "methods use counts for each. Vertical lines: 95 % t interval over seeds.",
    )
    for axes, rows in labelled:
        style.label_points(axes, [(_cost(r), r["relative"], name_of(r), _colour(r)) for r in rows])
    return figure


def main(argv: list[str] | None = None) -> None:
    """Draw the figure from its tables."""
    args = build_parser().parse_args(argv)
    cost = tables.read_table(args.cost, "cost")
    performance = tables.read_table(args.performance, "relative_performance")
    with style.applied():
        style.save(draw(cost, performance), args.png, args.svg)


if __name__ == "__main__":
    main()
