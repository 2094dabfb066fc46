"""Draw the clusters' transferability against their density, and the share of each that is selected.

Reads clusters.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import program, style
from vlselect.figures.key import Key

METHOD = "coincide"
SMALLEST, LARGEST = 12.0, 320.0  # marker area, points²


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def areas(sizes: np.ndarray, largest: int) -> np.ndarray:
    """Return marker areas proportional to cluster size, but large enough to see."""
    return np.maximum(SMALLEST, LARGEST * sizes / largest)


def size_legend(figure: Figure, axes: Axes, largest: int) -> None:
    """Draw three grey markers as a legend of their area."""
    steps = sorted({max(1, round(largest * part)) for part in (0.1, 0.5, 1.0)})
    marks = [
        axes.scatter([], [], s=areas(np.array([n]), largest), color="#b5b5b5", label=f"{n:,}")
        for n in steps
    ]
    words = axes.plot([], [], linestyle="none", label="samples in the cluster:")
    handles = [*words, *marks]
    figure.legend(handles=handles, fontsize=8, loc="outside upper right", ncols=len(handles))


def draw(clusters: pd.DataFrame, key: Key) -> Figure:
    """Draw a panel for each budget (its first seed)."""
    clusters = style.first_seed(clusters)
    ratios = key.in_order(clusters["ratio"])
    figure = style.new_figure(0.7 + 4.0 * len(ratios))
    panels = figure.subplots(len(ratios), 1, squeeze=False)[:, 0]
    largest = int(clusters["size"].max())
    for axes, ratio in zip(panels, ratios, strict=True):
        own = clusters[clusters["ratio"] == ratio].sort_values("size", ascending=False)
        share = own["allocated"] / own["size"]
        marks = axes.scatter(
            own["density"],
            own["transferability"],
            s=areas(own["size"].to_numpy(), largest),
            c=100 * share,
            cmap="viridis_r",
            vmin=0,
            vmax=100,
            alpha=0.85,
            edgecolor="white",
            linewidth=0.5,
        )
        bar = figure.colorbar(marks, ax=axes, pad=0.02)
        bar.set_label("selected share of the cluster, %")
        bar.outline.set_visible(False)
        axes.set_title(f"{key.subset(METHOD, ratio)}: {own['allocated'].sum():,} samples")
        axes.set_xlabel("density (mean kernel value inside the cluster)")
        axes.set_ylabel("transferability (mean cosine to the other centroids)")
        style.grid(axes, "both")
    size_legend(figure, panels[0], largest)
    first = clusters.drop_duplicates("cluster")
    seed = style.seed_list(clusters["seed"])
    style.note(
        figure,
        f"{len(first)} clusters of {first['size'].sum():,} samples; selection {seed}. "
        "The budget favours high transferability and low density.",
    )
    return figure


def main(argv: list[str] | None = None) -> None:
    tables = {"clusters": "clusters"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
