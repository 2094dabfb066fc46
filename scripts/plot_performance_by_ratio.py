"""Draw relative performance against the budget, a line for each method.

Reads relative_performance.csv and relative_by_seed.csv.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vlselect.figures import program, style, words
from vlselect.figures.key import Key
from vlselect.tables import declarations

NO_LINE = (*declarations.UNTRAINED, declarations.REFERENCE)
PITCH, FILLED = 12.0, 0.8  # points between methods at most; the share of a budget's room they take
LEAST_PITCH, LEAST_PANEL = 6.5, 460.0  # points: of that pitch, of a panel's width
MARGIN = 1.4  # inches left of a panel, with the gap to the legend
LEGEND_ROWS = 18


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--performance", type=Path, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    program.add_arguments(parser)
    return parser


@dataclass(frozen=True)
class Room:
    """The methods side by side at each ratio, `step` apart in units of the ratios' distance.

    `width` is a panel's, in points.
    """

    methods: list[str]
    ratios: list[str]
    step: float
    width: float

    @classmethod
    def needed(cls, means: pd.DataFrame, key: Key) -> "Room":
        """Return the room that all models' methods and budgets need."""
        shown = means[~means["method"].isin(NO_LINE)]
        methods, ratios = list(dict.fromkeys(shown["method"])), key.in_order(shown["ratio"])
        label = max((words.width(key.budget_lines(r), style.NAME_SIZE) for r in ratios), default=0)
        each = max(LEAST_PITCH * len(methods) / FILLED, label + 12.0)
        width = max(LEAST_PANEL, each * len(ratios))
        each = width / max(len(ratios), 1)
        pitch = min(PITCH, FILLED * each / max(len(methods), 1))
        return cls(methods, ratios, pitch / each, width)


def draw_method(axes: Axes, own: pd.DataFrame, dots: pd.DataFrame, at: dict, looks: dict) -> None:
    """Draw a method's means, joined where the unit is the same, with intervals and seeds.

    `at` holds the place of each ratio on the x axis, `looks` the colour and marker.
    """
    colour = looks["color"]
    for _, part in own.groupby("unit", sort=False):
        x = part["ratio"].map(at)
        axes.plot(x, part["relative"], markersize=5, linewidth=1.0, **looks)
        axes.vlines(x, part["low"], part["high"], color=colour, linewidth=1.6)
    if len(dots) > len(own):
        ring = {"s": 9, "facecolor": "none", "edgecolor": colour, "linewidth": 0.7}
        axes.scatter(dots["ratio"].map(at), dots["relative"], **ring)


def draw_model(axes: Axes, means: pd.DataFrame, seeds: pd.DataFrame, room: Room, key: Key) -> None:
    """Draw one model: a line for each method, side by side at each budget."""
    width = room.step * len(room.methods)
    for place in range(len(room.ratios)):
        axes.axvspan(place - width / 2, place + width / 2, color=style.BAND, linewidth=0, zorder=0)
    axes.axhline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)))
    for i, method in enumerate(room.methods):
        shift = (i - (len(room.methods) - 1) / 2) * room.step
        at = {ratio: place + shift for place, ratio in enumerate(room.ratios)}
        own = means[means["method"] == method]
        own = own.assign(place=own["ratio"].map(at)).sort_values("place")
        looks = {"color": key.colour(method), "marker": key.marker(method)}
        draw_method(axes, own, seeds[seeds["method"] == method], at, looks)
    axes.set_xticks(range(len(room.ratios)), [key.budget_lines(ratio) for ratio in room.ratios])
    axes.set_xlim(-0.5, len(room.ratios) - 0.5)
    axes.set_xlabel("budget" + (" (evenly spaced)" if len(room.ratios) > 2 else ""))
    axes.set_ylabel("relative performance,\n% of finetuning on the full pool")
    style.grid(axes, "y")


def legend(figure: Figure, methods: list[str], key: Key) -> float:
    """Name the methods to the right of all panels; return the width in inches that this takes."""
    dashes = {"color": style.INK, "linewidth": 1.0, "linestyle": (0, (4, 3))}
    handles = [Line2D([], [], label=key.method(declarations.REFERENCE), **dashes)]
    for method in methods:
        looks = {"color": key.colour(method), "marker": key.marker(method), "linewidth": 1.0}
        handles.append(Line2D([], [], markersize=5, label=key.method(method), **looks))
    columns = -(-len(handles) // LEGEND_ROWS)
    figure.legend(handles=handles, loc="outside right upper", ncols=columns)
    widest = max(words.width(handle.get_label(), style.NAME_SIZE) for handle in handles)
    return columns * (widest + 50.0) / 72


def draw(performance: pd.DataFrame, seeds: pd.DataFrame, key: Key) -> Figure:
    """Draw a panel for each model."""
    means, interval = style.shown_intervals(performance[performance["task"] == declarations.MEAN])
    means = means.assign(unit=means["ratio"].map(key.unit))
    seeds = seeds[seeds["task"] == declarations.MEAN]
    models = list(dict.fromkeys(means["model"]))
    room = Room.needed(means, key)
    figure = style.new_figure(4.2 * len(models))
    beside = legend(figure, room.methods, key)
    figure.set_figwidth(max(9.0, MARGIN + room.width / 72 + beside))
    panels = figure.subplots(len(models), 1, squeeze=False)[:, 0]
    for axes, model in zip(panels, models, strict=True):
        draw_model(axes, means[means["model"] == model], seeds[seeds["model"] == model], room, key)
        axes.set_title(style.model_title(model, room.width))
    trained = seeds.loc[~seeds["method"].isin(declarations.UNTRAINED), "seed"]
    used = style.interval_note(trained, "vertical lines", interval)
    style.note(figure, f"Mean over {performance['task'].nunique() - 1} benchmarks; {used}")
    return figure


def main(argv: list[str] | None = None) -> None:
    tables = {
        "performance": "relative_performance",
        "seeds": "relative_by_seed",
    }
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
