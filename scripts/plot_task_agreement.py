"""Draw the agreement of the tasks: rank correlation of influences, and overlap of votes.

Reads task_agreement.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import style
from vlselect.tables import declarations

NUMBERS_UP_TO = 14  # tasks; more would not be readable


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agreement", type=Path, required=True)
    style.add_outputs(parser)
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


def heat_map(axes: Axes, tasks: list[str], values: np.ndarray, colours: str, low: float) -> None:
    """Draw squares with their numbers; the diagonal and undefined values stay empty."""
    values = values.copy()
    np.fill_diagonal(values, np.nan)
    axes.imshow(values, cmap=colours, vmin=low, vmax=1.0)
    if len(tasks) <= NUMBERS_UP_TO:
        for (a, b), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = value > 0.6 or (low < 0 and value < -0.6)
                colour = "white" if dark else style.INK
                text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
                axes.text(b, a, text, ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_xticks(range(len(tasks)), tasks, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(tasks)), tasks)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def draw(agreement: pd.DataFrame) -> Figure:
    """Draw the rank correlation of influences and, to the right, the Jaccard index of votes."""
    tasks, spearman = matrix(agreement, "spearman")
    _, jaccard = matrix(agreement, "jaccard")
    side = max(2.6, (0.42 if len(tasks) <= NUMBERS_UP_TO else 0.22) * len(tasks))
    figure = style.new_figure(side + 1.6, width=2 * side + 3.0)
    left, right = figure.subplots(1, 2)
    heat_map(left, tasks, spearman, "RdBu_r", -1.0)
    heat_map(right, tasks, jaccard, "Oranges", 0.0)
    right.set_yticklabels([])
    left.set_title("influence: Spearman correlation")
    right.set_title("votes: Jaccard index")
    for axes in (left, right):
        bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.7, pad=0.02)
        bar.outline.set_visible(False)
    seeds = style.over_seeds(agreement["seed"])
    style.note(figure, f"{len(tasks)} voting tasks; over all samples of the pool; {seeds}.")
    return figure


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    agreement = declarations.read_table(args.agreement, "task_agreement")
    with style.applied():
        style.save(draw(agreement), args.png, args.svg)


if __name__ == "__main__":
    main()
