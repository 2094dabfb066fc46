"""Draw relative performance by method: mean and 95 % interval, and a dot for every seed.

Reads relative_performance.csv, relative_by_seed.csv and benchmark_scores.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect import style, tables

UNTRAINED = ("pretrained", "majority")


def build_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--performance", type=Path, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def label(method: str, ratio: str) -> str:
    """Name of a row: the method, and its ratio where it chooses."""
    name = style.method_name(method)
    return name if method in (*UNTRAINED, tables.REFERENCE) else f"{name}, {style.percent(ratio)}"


def draw_model(axes: Axes, means: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """One model's methods, a row each, in the order of the table."""
    trained = means[~means["method"].isin(UNTRAINED)]
    means = pd.concat([trained, means[means["method"].isin(UNTRAINED)]], ignore_index=True)
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    for y, row in enumerate(means.to_dict("records")):
        colour = style.method_colour(row["method"])
        own = seeds[(seeds["method"] == row["method"]) & (seeds["ratio"] == row["ratio"])]
        modest = row["method"] in UNTRAINED
        if not modest:
            axes.barh(y, row["relative"], height=0.62, color=colour, alpha=0.25, linewidth=0)
        if row["low"] == row["low"]:
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.2, zorder=3)
        size, marker = (22, "D") if modest else (55, "|")
        axes.scatter(row["relative"], y, s=size, marker=marker, color=colour, linewidth=2, zorder=4)
        if len(own) > 1:
            axes.scatter(
                own["relative"],
                [y + 0.2] * len(own),
                s=13,
                color="white",
                edgecolor=colour,
                linewidth=0.9,
                zorder=5,
            )
        right = max([row["relative"], *own["relative"], *[row["high"]] * (row["high"] > 0)])
        at = {"textcoords": "offset points", "va": "center", "path_effects": style.halo()}
        axes.annotate(f"{row['relative']:.1f}", (right, y), (6, 0), fontsize=8, **at)
    names = [label(*pair) for pair in zip(means["method"], means["ratio"], strict=True)]
    axes.set_yticks(range(len(means)), names)
    axes.set_ylim(len(means) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.margins(x=0.08)
    axes.set_xlabel("relative performance, % of finetuning on the full pool")
    style.grid(axes, "x")


def draw(performance: pd.DataFrame, seeds: pd.DataFrame, scores: pd.DataFrame) -> Figure:
    """One panel for each model."""
    means = performance[performance["task"] == tables.MEAN]
    seeds = seeds[seeds["task"] == tables.MEAN]
    models = list(dict.fromkeys(means["model"]))
    rows = [int((means["model"] == model).sum()) for model in models]
    figure = style.new_figure(0.9 + sum(0.36 * count + 0.5 for count in rows))
    panels = figure.subplots(len(models), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, model in zip(panels, models, strict=True):
        draw_model(axes, means[means["model"] == model], seeds[seeds["model"] == model])
        axes.set_title(f"model: {model}")
    questions = scores.drop_duplicates("task")["n"].sum()
    used = style.interval_note(seeds.loc[~seeds["method"].isin(UNTRAINED), "seed"], "lines")
    style.note(
        figure,
        f"Mean over {performance['task'].nunique() - 1} benchmarks ({questions:,} questions); "
        f"{used}",
    )
    return figure


def main(argv: list[str] | None = None) -> None:
    """Draw the figure from its tables."""
    args = build_parser().parse_args(argv)
    performance = tables.read_table(args.performance, "relative_performance")
    seeds = tables.read_table(args.seeds, "relative_by_seed")
    scores = tables.read_table(args.scores, "benchmark_scores")
    with style.applied():
        style.save(draw(performance, seeds, scores), args.png, args.svg)


if __name__ == "__main__":
    main()
