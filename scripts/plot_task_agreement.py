"""Draw the agreement of the tasks: rank correlation of influences, and overlap of votes.

Reads task_agreement.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import program, style, words
from vlselect.figures.key import Key

NUMBERS_UP_TO = 14  # tasks; more would not be readable
LONGEST = 110.0  # points of a task's name


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agreement", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def matrix(agreement: pd.DataFrame, column: str) -> tuple[list[str], np.ndarray]:
    """Return the tasks, and the symmetric (T, T) matrix of one column's means over seeds."""
    tasks = list(dict.fromkeys(agreement["task_a"]))
    values = np.full((len(tasks), len(tasks)), np.nan)
    means = agreement.groupby(["task_a", "task_b"], sort=False)[column].mean()
    for (first, second), value in means.items():
        a, b = tasks.index(first), tasks.index(second)
        values[a, b] = values[b, a] = value
    return tasks, values


def heat_map(axes: Axes, values: np.ndarray, colours: str, low: float) -> None:
    """Draw squares with their numbers; the diagonal and undefined values stay empty."""
    values = values.copy()
    np.fill_diagonal(values, np.nan)
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=1.0)
    if len(values) <= NUMBERS_UP_TO:
        for (a, b), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = style.readable_on(image.cmap(image.norm(value)))
                text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
                axes.text(b, a, text, ha="center", va="center", fontsize=7.5, color=colour)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def draw(agreement: pd.DataFrame, key: Key) -> Figure:
    """Draw the rank correlation of influences and, to the right, the Jaccard index of votes."""
    tasks, spearman = matrix(agreement, "spearman")
    _, jaccard = matrix(agreement, "jaccard")
    names = words.fitted(tasks, LONGEST)
    side = max(2.9, (0.42 if len(tasks) <= NUMBERS_UP_TO else 0.22) * len(tasks))
    figure = style.new_figure(side + 1.6, width=2 * side + 3.0)
    left, right = figure.subplots(1, 2)
    heat_map(left, spearman, "RdBu_r", -1.0)
    heat_map(right, jaccard, "Oranges", 0.0)
    left.set_title("influence: Spearman correlation")
    right.set_title("votes: Jaccard index")
    upright = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    for axes in (left, right):
        axes.set_xticks(range(len(tasks)), names, **upright)
        axes.set_yticks(range(len(tasks)), names if axes is left else [""] * len(tasks))
        bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.7, pad=0.02)
        bar.outline.set_visible(False)
    seeds = style.over_seeds(agreement["seed"])
    style.note(figure, f"{len(tasks)} voting tasks; over all samples of the pool; {seeds}.")
    return figure


def main(argv: list[str] | None = None) -> None:
    tables = {"agreement": "task_agreement"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
