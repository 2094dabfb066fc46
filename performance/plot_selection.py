"""Draw the table of selection mathematics: seconds against samples, a panel for each method."""

import argparse
import csv
from pathlib import Path

from matplotlib.axes import Axes
from plot_gradients import OURS, plain

from vlselect.figures import style

NOTE = (
    "Seconds of one processor thread, contenders in turns, medians; each result checked against "
    "ours. The numbers are multiples of our time. A missing mark:\n"
    "over 60 s or 12 GiB where the table says so, else not measured. |C| of greedy MMD is 200; "
    "its picks are also measured alone, from a kernel computed before."
)
COLUMNS = 4


def panel(axes: Axes, title: str, rows: list[dict]) -> None:
    """Draw one method: a line for each contender."""
    for number, name in enumerate(dict.fromkeys(row["contender"] for row in rows)):
        own = [row for row in rows if row["contender"] == name and row["seconds"]]
        x = [int(row["samples"]) for row in own]
        y = [float(row["seconds"]) for row in own]
        tint = OURS if name == "ours" else style.SOURCE_COLOURS[3 + number]
        look = {"color": tint, "marker": style.MARKERS[number], "markersize": 4.5}
        axes.plot(x, y, linewidth=1.3, label=name, **look)
        for row, a, b in zip(own, x, y, strict=True):
            if name != "ours":
                times = float(row["times_ours"])
                text = f"{times:,.0f}×" if times >= 10 else f"{times:.2g}×"
                place = {"xytext": (0, 5 if times >= 1 else -11), "ha": "center"}
                if number > 1:
                    place = {"xytext": (6, -3), "ha": "left"}
                axes.annotate(text, (a, b), textcoords="offset points", fontsize=7, color=tint,
                              path_effects=style.halo(), **place)  # fmt: skip
    axes.set(xscale="log", yscale="log", title=title)
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    plain(axes.yaxis)
    style.grid(axes, "both")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(-0.02, 1.0))


def main(argv: list[str] | None = None) -> None:
    """Write selection_mathematics.png and .svg beside the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of selection_mathematics.csv")
    path = parser.parse_args(argv).folder / "selection_mathematics.csv"
    with path.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    methods = list(dict.fromkeys(row["method"] for row in table))
    lines = -(-len(methods) // COLUMNS)
    with style.applied():
        figure = style.new_figure(0.6 + 3.1 * lines, width=14.0)
        columns = min(COLUMNS, len(methods))
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for axes, method in zip(grid.flat, methods, strict=False):
            panel(axes, method, [row for row in table if row["method"] == method])
        for axes in grid.flat[len(methods) :]:
            axes.set_axis_off()
        low, high = grid[0, 0].get_ylim()
        grid[0, 0].set_ylim(low, 100 * high)  # room for the legends
        for axes in grid[-1]:
            axes.set_xlabel("samples")
        for axes in grid[:, 0]:
            axes.set_ylabel("seconds")
        style.note(figure, NOTE)
        style.save(figure, path.with_suffix(".png"), path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
