"""Draw the composition of each subset: stacked shares of the sources, with the pool's above.

Reads subset_composition.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import program, style, words
from vlselect.figures.key import Key
from vlselect.tables import declarations

MOST = 20  # sources shown by name; smaller ones are drawn as one
MOST_SIZES = 5  # numbers of samples in the note; of more, the range
NUMBERED = 0.04  # shares from here on have room for a number
LEGEND_SIZE, LEGEND_NAME, LEGEND_MARK = 8, 160.0, 45.0  # points: letters, longest name, its patch
OTHER = "other sources"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--composition", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def average(composition: pd.DataFrame) -> pd.DataFrame:
    """Average shares over seeds: columns method, ratio, source, n, share, pool_share."""
    shares = composition.copy()
    largest = list(dict.fromkeys(shares["source"]))
    if len(largest) > MOST:
        shares.loc[shares["source"].isin(largest[MOST - 1 :]), "source"] = OTHER
    values = ["n", "share", "pool_share"]
    keys = ["method", "ratio", "seed", "source"]
    shares = shares.groupby(keys, sort=False, as_index=False)[values].sum()
    return shares.groupby(["method", "ratio", "source"], sort=False, as_index=False)[values].mean()


def stack(axes: Axes, shares: pd.DataFrame, ticks: list[float], styles: dict[str, dict]) -> None:
    """Draw a bar of the sources' shares (columns) for each row, with numbers that have room."""
    left = np.zeros(len(shares))
    ground = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.0}
    at = {"ha": "center", "va": "center", "fontsize": 7, "bbox": ground}
    for source in shares.columns:
        width = 100 * shares[source].fillna(0).to_numpy()
        axes.barh(ticks, width, left=left, height=0.72, linewidth=0.6, **styles[source])
        for i in np.flatnonzero(width >= 100 * NUMBERED):
            axes.text(left[i] + width[i] / 2, ticks[i], f"{width[i]:.0f}", **at)
        left += width


def draw(composition: pd.DataFrame, key: Key) -> Figure:
    """Draw the pool, then every method and budget, in the order of the table."""
    shares = average(composition)
    subsets = list(dict.fromkeys(zip(shares["method"], shares["ratio"], strict=True)))
    subsets = [pair for pair in subsets if pair[0] != declarations.REFERENCE]
    sources = list(dict.fromkeys(shares["source"]))
    styles = style.source_styles(sources)
    pool = shares.drop_duplicates("source").set_index("source")["pool_share"]
    table = shares.pivot(index=["method", "ratio"], columns="source", values="share")
    table = pd.concat([pool.to_frame().T, table.reindex(subsets)])[sources]
    ticks = [0, *(y + 1.2 for y in range(len(subsets)))]
    names, columns = _legend(sources)
    figure = style.new_figure(1.1 + 0.4 * (len(subsets) + 1) + 0.2 * -(-len(sources) // columns))
    axes = figure.subplots()
    stack(axes, table, ticks, styles)
    axes.set_yticks(ticks, ["pool", *(key.subset(*pair) for pair in subsets)])
    for tick, (method, _) in zip(axes.get_yticklabels()[1:], subsets, strict=True):
        tick.set_color(key.colour(method))
        tick.set_fontweight("bold")
    axes.set_ylim(len(subsets) + 0.7, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the samples, %")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    patches = [axes.barh(0, 0, **styles[source])[0] for source in sources]
    place = {"loc": "outside upper center", "ncols": columns, "fontsize": LEGEND_SIZE}
    figure.legend(patches, names, **place)
    style.note(figure, _small_print(composition))
    return figure


def _legend(sources: list[str]) -> tuple[list[str], int]:
    """Return the sources' names for the legend, and how many columns of them fit."""
    names = words.fitted(sources, LEGEND_NAME, LEGEND_SIZE)
    widest = max(words.width(name, LEGEND_SIZE) for name in names)
    return names, min(5, int((72 * style.WIDTH - 20) // (widest + LEGEND_MARK)))


def _small_print(composition: pd.DataFrame) -> str:
    """Return a note with sizes and seeds."""
    keys = ["method", "ratio", "seed"]
    sizes = composition[composition["method"] != declarations.REFERENCE].groupby(keys)["n"].sum()
    few = [f"{size:,}" for size in sorted(set(sizes))]
    chosen = style.listing(few) if len(few) <= MOST_SIZES else f"{few[0]} to {few[-1]}"
    seeds = sizes.index.get_level_values("seed")
    return (
        f"n = {chosen} samples in a subset; {style.over_seeds(seeds)}. Numbers: shares of "
        f"{100 * NUMBERED:g} % and more."
    )


def main(argv: list[str] | None = None) -> None:
    tables = {"composition": "subset_composition"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
