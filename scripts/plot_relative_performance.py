"""Draw relative performance by method: mean and 95 % interval, and a circle for every seed.

The difference from random selection, if there is one, is written beside it. Reads
relative_performance.csv, relative_by_seed.csv, benchmark_scores.csv and comparison_with_random.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import differences, style
from vlselect.tables import declarations
from vlselect.tables.declarations import UNTRAINED

BESIDE = {"textcoords": "offset points", "va": "center"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--performance", type=Path, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--comparison", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def label(method: str, ratio: str) -> str:
    """Return the name of a row: the method, with its ratio if it has one."""
    name = style.method_name(method)
    return (
        name
        if method in (*UNTRAINED, declarations.REFERENCE)
        else f"{name}, {style.percent(ratio)}"
    )


def trained_first(means: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in table order, with untrained methods at the end."""
    untrained = means["method"].isin(UNTRAINED)
    return pd.concat([means[~untrained], means[untrained]], ignore_index=True)


def draw_row(axes: Axes, y: int, row: dict, own: pd.DataFrame) -> None:
    """Draw one method at one ratio: bar, mean, interval and seeds."""
    colour, modest = style.method_colour(row["method"]), row["method"] in UNTRAINED
    if row["relative"] != row["relative"]:
        axes.annotate("not defined", (0.0, y), (6, 0), color=style.GREY, fontsize=8, **BESIDE)
        return
    if not modest:
        axes.barh(y, row["relative"], height=0.62, color=colour, alpha=0.25, linewidth=0)
    if row["low"] == row["low"]:
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.2, zorder=3)
    size, marker = (22, "D") if modest else (55, "|")
    axes.scatter(row["relative"], y, s=size, marker=marker, color=colour, linewidth=2, zorder=4)
    if len(own) > 1:
        ring = {"s": 13, "color": "white", "edgecolor": colour, "linewidth": 0.9, "zorder": 5}
        axes.scatter(own["relative"], [y + 0.2] * len(own), **ring)
    right = max([row["relative"], *own["relative"], *[row["high"]] * (row["high"] > 0)])
    ground = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 0.6}
    axes.annotate(f"{row['relative']:.1f}", (right, y), (6, 0), fontsize=8, bbox=ground, **BESIDE)


def draw_model(
    axes: Axes, means: pd.DataFrame, seeds: pd.DataFrame, compared: pd.DataFrame
) -> None:
    """Draw one model's methods, a row each."""
    rows = trained_first(means).to_dict("records")
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    for y, row in enumerate(rows):
        same = (seeds["method"] == row["method"]) & (seeds["ratio"] == row["ratio"])
        draw_row(axes, y, row, seeds[same])
    if len(compared):
        differences.write_beside(axes, rows, compared)
    axes.set_yticks(range(len(rows)), [label(row["method"], row["ratio"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.margins(x=0.08)
    axes.set_xlabel("relative performance, % of finetuning on the full pool")
    style.grid(axes, "x")


def small_print(
    performance: pd.DataFrame, seeds: pd.DataFrame, scores: pd.DataFrame, interval: str
) -> str:
    """Return a note: numbers of benchmarks and questions (if known), seeds, interval."""
    n = scores.drop_duplicates("task")["n"]
    questions = f" ({n.sum():,} questions)" if n.all() else ""
    trained = seeds.loc[~seeds["method"].isin(UNTRAINED), "seed"]
    used = style.interval_note(trained, "lines", interval)
    return f"{style.mean_note(performance, questions)}; {used}"


def draw(
    performance: pd.DataFrame, seeds: pd.DataFrame, scores: pd.DataFrame, compared: pd.DataFrame
) -> Figure:
    """Draw a panel for each model."""
    means, interval = style.shown_intervals(performance[performance["task"] == declarations.MEAN])
    compared, of_difference = style.shown_intervals(compared)
    seeds = seeds[seeds["task"] == declarations.MEAN]
    models = list(dict.fromkeys(means["model"]))
    rows = [int((means["model"] == model).sum()) for model in models]
    height = 0.9 + sum(0.36 * count + 0.5 for count in rows)
    figure = style.new_figure(height, width=9.0 if len(compared) else style.WIDTH)
    panels = figure.subplots(len(models), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, model in zip(panels, models, strict=True):
        own = (table[table["model"] == model] for table in (means, seeds, compared))
        draw_model(axes, *own)
        axes.set_title(f"model: {model}")
    text = small_print(performance, seeds, scores, interval)
    style.note(figure, text + differences.note(compared, of_difference))
    return figure


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    performance = declarations.read_table(args.performance, "relative_performance")
    seeds = declarations.read_table(args.seeds, "relative_by_seed")
    scores = declarations.read_table(args.scores, "benchmark_scores")
    compared = declarations.read_table(args.comparison, "comparison_with_random")
    with style.applied():
        style.save(draw(performance, seeds, scores, compared), args.png, args.svg)


if __name__ == "__main__":
    main()
