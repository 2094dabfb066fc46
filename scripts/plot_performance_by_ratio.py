"""Draw relative performance against the selected share of the pool, a line for each method.

Reads relative_performance.csv and relative_by_seed.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import style
from vlselect.tables import declarations

NO_LINE = (*declarations.UNTRAINED, declarations.REFERENCE)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--performance", type=Path, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def draw_model(axes: Axes, means: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """Draw one model: a line for each method, side by side at each ratio."""
    methods = [name for name in dict.fromkeys(means["method"]) if name not in NO_LINE]
    ratios = sorted({float(ratio) for ratio in means.loc[means["method"].isin(methods), "ratio"]})
    step = 0.55 * 100 * min(np.diff(ratios), default=0.1) / max(len(methods), 8)
    axes.axhline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), label="full pool")
    for i, method in enumerate(methods):
        colour, marker = style.method_colour(method), style.method_marker(method)
        shift = (i - (len(methods) - 1) / 2) * step
        own = means[means["method"] == method]
        own = own.assign(x=100 * own["ratio"].astype(float) + shift).sort_values("x")
        line = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.0}
        axes.plot(own["x"], own["relative"], label=style.method_name(method), **line)
        axes.vlines(own["x"], own["low"], own["high"], color=colour, linewidth=1.6)
        dots = seeds[seeds["method"] == method]
        if len(dots) > len(own):
            x = 100 * dots["ratio"].astype(float) + shift
            ring = {"s": 9, "facecolor": "none", "edgecolor": colour, "linewidth": 0.7}
            axes.scatter(x, dots["relative"], **ring)
    axes.set_xticks([100 * ratio for ratio in ratios], [style.percent(r) for r in ratios])
    axes.margins(x=0.05 if len(ratios) > 1 else 1.0)
    axes.set_xlabel("share of the pool selected")
    axes.set_ylabel("relative performance,\n% of finetuning on the full pool")
    style.grid(axes, "y")


def draw(performance: pd.DataFrame, seeds: pd.DataFrame) -> Figure:
    """Draw a panel for each model."""
    means, interval = style.shown_intervals(performance[performance["task"] == declarations.MEAN])
    seeds = seeds[seeds["task"] == declarations.MEAN]
    models = list(dict.fromkeys(means["model"]))
    figure = style.new_figure(4.2 * len(models), width=9.0)
    panels = figure.subplots(len(models), 1, squeeze=False)[:, 0]
    for axes, model in zip(panels, models, strict=True):
        draw_model(axes, means[means["model"] == model], seeds[seeds["model"] == model])
        axes.set_title(f"model: {model}")
    panels[0].legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    trained = seeds.loc[~seeds["method"].isin(declarations.UNTRAINED), "seed"]
    used = style.interval_note(trained, "vertical lines", interval)
    style.note(figure, f"{style.mean_note(performance)}; {used}")
    return figure


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    performance = declarations.read_table(args.performance, "relative_performance")
    seeds = declarations.read_table(args.seeds, "relative_by_seed")
    with style.applied():
        style.save(draw(performance, seeds), args.png, args.svg)


if __name__ == "__main__":
    main()
