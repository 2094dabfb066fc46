"""Draw relative performance by method: mean and 95 % interval, and a circle for every seed.

The difference from random selection, if there is one, is written beside it. Reads
relative_performance.csv, relative_by_seed.csv, benchmark_scores.csv and comparison_with_random.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import differences, program, style
from vlselect.figures.key import Key
from vlselect.tables import declarations
from vlselect.tables.declarations import UNTRAINED

NUMBERS = 40.0  # points from a panel to the right edge of the column of means
TITLE = 230.0  # points for a panel's title


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--performance", type=Path, required=True)
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--comparison", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def trained_first(means: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in table order, with untrained methods at the end."""
    untrained = means["method"].isin(UNTRAINED)
    return pd.concat([means[~untrained], means[untrained]], ignore_index=True)


def draw_row(axes: Axes, y: int, row: dict, own: pd.DataFrame, key: Key) -> None:
    """Draw one method at one budget: bar, mean, interval and seeds, and the mean as a number."""
    colour, modest = key.colour(row["method"]), row["method"] in UNTRAINED
    if not modest:
        axes.barh(y, row["relative"], height=0.62, color=colour, alpha=0.25, linewidth=0)
    if row["low"] == row["low"]:
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.2, zorder=3)
    size, marker = (22, "D") if modest else (55, "|")
    axes.scatter(row["relative"], y, s=size, marker=marker, color=colour, linewidth=2, zorder=4)
    if len(own) > 1:
        ring = {"s": 13, "color": "white", "edgecolor": colour, "linewidth": 0.9, "zorder": 5}
        axes.scatter(own["relative"], [y + 0.2] * len(own), **ring)
    known = row["relative"] == row["relative"]
    text = f"{row['relative']:.1f}" if known else "unknown"
    at = {"textcoords": "offset points", "va": "center", "ha": "right", "fontsize": 8}
    side = axes.get_yaxis_transform()  # x in shares of the panel's width, y in rows
    axes.annotate(text, (1, y), (NUMBERS, 0), side, color=style.INK if known else style.GREY, **at)


def draw_model(
    axes: Axes, means: pd.DataFrame, seeds: pd.DataFrame, compared: pd.DataFrame, key: Key
) -> None:
    """Draw one model's methods, a row each."""
    rows = trained_first(means).to_dict("records")
    axes.axvline(100.0, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    for y, row in enumerate(rows):
        same = (seeds["method"] == row["method"]) & (seeds["ratio"] == row["ratio"])
        draw_row(axes, y, row, seeds[same], key)
    head = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
    axes.annotate("mean", (1, 1), (NUMBERS, 3), fontsize=8, color=style.GREY, **head)
    if len(compared):
        differences.write_beside(axes, rows, compared, key, start=NUMBERS + 14)
    axes.set_yticks(range(len(rows)), [key.subset(row["method"], row["ratio"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.margins(x=0.02)
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
    return f"Mean over {performance['task'].nunique() - 1} benchmarks{questions}; {used}"


def draw(
    performance: pd.DataFrame,
    seeds: pd.DataFrame,
    scores: pd.DataFrame,
    compared: pd.DataFrame,
    key: Key,
) -> Figure:
    """Draw a panel for each model."""
    means, interval = style.shown_intervals(performance[performance["task"] == declarations.MEAN])
    compared, of_difference = style.shown_intervals(compared)
    seeds = seeds[seeds["task"] == declarations.MEAN]
    models = list(dict.fromkeys(means["model"]))
    rows = [int((means["model"] == model).sum()) for model in models]
    height = 0.9 + sum(0.36 * count + 0.6 for count in rows)
    figure = style.new_figure(height, width=9.0 if len(compared) else style.WIDTH)
    panels = figure.subplots(len(models), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, model in zip(panels, models, strict=True):
        own = (table[table["model"] == model] for table in (means, seeds, compared))
        draw_model(axes, *own, key)
        axes.set_title(style.model_title(model, TITLE))
    text = small_print(performance, seeds, scores, interval)
    style.note(figure, text + differences.note(compared, of_difference))
    return figure


def main(argv: list[str] | None = None) -> None:
    tables = {
        "performance": "relative_performance",
        "seeds": "relative_by_seed",
        "scores": "benchmark_scores",
        "comparison": "comparison_with_random",
    }
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
