"""Draw the composition of each subset: stacked shares of the sources, with the pool's above.

Reads subset_composition.csv.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlselect.figures import style
from vlselect.tables import declarations

MOST = 20  # sources shown by name; smaller ones are drawn as one
OTHER = "other sources"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--composition", type=Path, required=True)
    style.add_outputs(parser)
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


def stack(axes: Axes, y: float, shares: pd.Series, styles: dict[str, dict]) -> None:
    """Draw one bar; shares of 4 % and more are labelled."""
    left = 0.0
    for source, share in shares.items():
        bar = axes.barh(y, 100 * share, left=left, height=0.72, linewidth=0.6, **styles[source])
        if share >= 0.04:
            box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.0}
            labels = axes.bar_label(bar, [f"{100 * share:.0f}"], label_type="center", fontsize=7)
            labels[0].set_bbox(box)
        left += 100 * share


def draw(composition: pd.DataFrame) -> Figure:
    """Draw the pool, then every method and ratio, in the order of the table."""
    shares = average(composition)
    subsets = list(dict.fromkeys(zip(shares["method"], shares["ratio"], strict=True)))
    subsets = [pair for pair in subsets if pair[0] != declarations.REFERENCE]
    sources = list(dict.fromkeys(shares["source"]))
    styles = style.source_styles(sources)
    pool = shares.drop_duplicates("source").set_index("source")["pool_share"]
    figure = style.new_figure(1.1 + 0.4 * (len(subsets) + 1) + 0.2 * -(-len(sources) // 5))
    axes = figure.subplots()
    stack(axes, 0, pool, styles)
    names = ["pool"]
    for y, (method, ratio) in enumerate(subsets, start=1):
        own = shares[(shares["method"] == method) & (shares["ratio"] == ratio)]
        stack(axes, y + 0.2, own.set_index("source")["share"], styles)
        names.append(f"{style.method_name(method)}, {style.percent(ratio)}")
    axes.set_yticks([0, *(y + 1.2 for y in range(len(subsets)))], names)
    for tick, (method, _) in zip(axes.get_yticklabels()[1:], subsets, strict=True):
        tick.set_color(style.method_colour(method))
        tick.set_fontweight("bold")
    axes.set_ylim(len(subsets) + 0.7, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the samples, %")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    patches = [axes.barh(0, 0, label=source, **styles[source])[0] for source in sources]
    figure.legend(patches, sources, loc="outside upper center", ncols=5, fontsize=8)
    style.note(figure, _small_print(composition))
    return figure


def _small_print(composition: pd.DataFrame) -> str:
    """Return a note with sizes and seeds."""
    keys = ["method", "ratio", "seed"]
    sizes = composition[composition["method"] != declarations.REFERENCE].groupby(keys)["n"].sum()
    chosen = style.listing([f"{size:,}" for size in sorted(set(sizes))])
    seeds = sizes.index.get_level_values("seed")
    return f"n = {chosen} samples in a subset; {style.over_seeds(seeds)}."


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    composition = declarations.read_table(args.composition, "subset_composition")
    with style.applied():
        style.save(draw(composition), args.png, args.svg)


if __name__ == "__main__":
    main()
