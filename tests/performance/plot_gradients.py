"""Draw the three tables of gradients: per-sample gradients, projections, the whole job."""

import argparse
import csv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import NullFormatter

from vlselect import style

NOTE = (
    "Seconds of one processor thread, contenders in turns. Ordinary step: a batched forward and\n"
    "backward pass, which gives no gradients of samples. Distortion: relative error of inner\n"
    "products of every two samples; the numbers beside the marks are k."
)
OURS, FLOOR, OTHERS = "#d55e00", style.INK, "#56b4e9"


def read(path: Path) -> list[dict]:
    """Read a table's rows that have a time."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["ms_per_sample"]]


def bars(axes: Axes, rows: list[dict], title: str) -> None:
    """A bar for each contender of each model, on a logarithmic axis."""
    names = [f"{row['contender']} ({row['model']})" for row in rows]
    values = [float(row["ms_per_sample"]) for row in rows]
    colours = [colour(row["contender"]) for row in rows]
    axes.barh(names, values, color=colours, height=0.7)
    for place, value in enumerate(values):
        axes.text(value * 1.1, place, f"{value:.3g}", va="center", fontsize=7)
    axes.set(xscale="log", xlabel="ms a sample", title=title, xlim=(None, 6 * max(values)))
    axes.invert_yaxis()
    plain(axes.xaxis)
    axes.tick_params(axis="y", labelsize=7)


def plain(axis: Axis) -> None:
    """Write a logarithmic axis' numbers as they are."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def colour(contender: str) -> str:
    """Ours, the floor, or another's."""
    if contender.startswith("ours"):
        return OURS
    return FLOOR if contender == "ordinary step" else OTHERS


def scatter(axes: Axes, rows: list[dict]) -> None:
    """Time against distortion, a line for each projection over its k."""
    for number, name in enumerate(dict.fromkeys(row["projection"] for row in rows)):
        own = [row for row in rows if row["projection"] == name]
        x = [float(row["ms_per_sample"]) for row in own]
        y = [float(row["relative_error"]) for row in own]
        tint = style.SOURCE_COLOURS[number]
        axes.plot(x, y, color=tint, marker=style.MARKERS[number], linewidth=1, label=name)
        for row, a, b in zip(own, x, y, strict=True):
            axes.text(a, b, f" {row['dim']}", fontsize=6, va="bottom", color=style.GREY)
    axes.set(xscale="log", yscale="log", xlabel="ms a sample", title="Projection")
    axes.set_ylabel("relative error of inner products")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    style.grid(axes, "both")
    plain(axes.xaxis)
    plain(axes.yaxis)


def main(argv: list[str] | None = None) -> None:
    """Write gradients.png and gradients.svg beside the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the three tables are")
    folder = parser.parse_args(argv).folder
    with style.applied():
        figure = style.new_figure(4.4, width=15.0)
        left, middle, right = figure.subplots(1, 3)
        bars(left, read(folder / "per_sample_gradients.csv"), "Per-sample gradients")
        scatter(middle, read(folder / "projection.csv"))
        bars(right, read(folder / "end_to_end.csv"), "The whole job")
        style.note(figure, NOTE)
        style.save(figure, folder / "gradients.png", folder / "gradients.svg")


if __name__ == "__main__":
    main()
