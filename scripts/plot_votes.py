"""Draw how many samples of the pool have how many votes, and how many of them are selected.

Reads votes_histogram.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import program, style
from vlselect.figures.key import Key

METHOD = "icons"
NUMBERED = 20  # bars; more have no room for numbers


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histogram", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def draw_subset(axes: Axes, histogram: pd.DataFrame, key: Key) -> None:
    """Draw one subset: the pool's samples in grey, the selected ones in front."""
    votes, n, selected = (histogram[column].to_numpy() for column in ("votes", "n", "selected"))
    colour = key.colour(METHOD)
    axes.bar(votes, n, width=0.82, color="#cfcfcf", label="pool")
    axes.bar(votes, selected, width=0.82, color=colour, label=f"selected by {key.method(METHOD)}")
    if len(votes) <= NUMBERED:
        for x, whole, part in zip(votes, n, selected, strict=True):
            text = f"{whole:,}" + (f"\n({part:,})" if part else "")
            at = {"textcoords": "offset points", "ha": "center", "va": "bottom"}
            axes.annotate(text, (x, whole), (0, 2), fontsize=8, path_effects=style.halo(), **at)
    axes.set_xticks(votes[:: max(1, int(np.ceil(len(votes) / 20)))])
    axes.set_xlim(votes[0] - 0.6, votes[-1] + 0.6)
    axes.set_ylim(0, 1.16 * max(n))
    axes.set_xlabel("votes: number of tasks that have the sample in their top share")
    axes.set_ylabel("number of samples")
    style.grid(axes, "y")


def mean_subsets(histogram: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return for each ratio its rows with mean counts over seeds, rounded to whole samples."""
    means = histogram.groupby(["ratio", "votes"], sort=False)[["n", "selected"]].mean()
    rows = means.round().astype(int).reset_index()
    return list(rows.groupby("ratio", sort=False))


def draw(histogram: pd.DataFrame, key: Key) -> Figure:
    """Draw a panel for each budget."""
    subsets = mean_subsets(histogram)
    figure = style.new_figure(0.6 + 3.2 * len(subsets))
    panels = figure.subplots(len(subsets), 1, squeeze=False)[:, 0]
    pool = histogram.drop_duplicates("votes")["n"].sum()
    sizes = histogram.groupby(["ratio", "seed"], sort=False)["selected"].sum()
    for axes, (ratio, own) in zip(panels, subsets, strict=True):
        draw_subset(axes, own, key)
        size = round(sizes[ratio].mean())
        budget, share = key.budget(ratio), f"{100 * size / pool:.3g} %"
        known = "" if share == budget else f" ({share} of the pool)"
        axes.set_title(f"{budget}: {size:,} samples{known}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    first = subsets[0][1]
    numbers = " Numbers: samples in the pool (selected)." if len(first) <= NUMBERED else ""
    style.note(
        figure,
        f"{pool:,} samples, {first['votes'].max()} voting"
        f" tasks; {style.over_seeds(histogram['seed'])}.{numbers}",
    )
    return figure


def main(argv: list[str] | None = None) -> None:
    tables = {"histogram": "votes_histogram"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
