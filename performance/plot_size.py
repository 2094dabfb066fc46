"""Draw the size table: time and memory of every stage against the number of samples."""

import csv
import sys
from pathlib import Path

from layout import TENTH, rounded
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vlselect.figures import style

LIMIT = 8  # GiB
NOTE = (
    "Each stage a process of one thread, its files dropped from the cache before it. Stages of "
    "activations process a tenth\nof the samples. In brackets: exponent of rows in time, and in "
    "CPU time; 1 is linear. N = {n:,}."
)


def lines(axes: Axes, parts: dict[str, list[dict]], key: str, n: int) -> None:
    """Draw a line for each part of the table, over the pools that it was measured on."""
    for number, (part, rows) in enumerate(parts.items()):
        whole = rounded(n // 10) if rows[0]["stage"] in TENTH else n
        x = [int(row["rows"]) / whole for row in rows]
        label = part
        if len(rows) > 1:
            label += f" ({float(rows[0]['exponent']):.2f}, {float(rows[0]['cpu_exponent']):.2f})"
        look = {"color": style.SOURCE_COLOURS[number % len(style.SOURCE_COLOURS)]}
        look |= {"marker": style.MARKERS[number % len(style.MARKERS)], "label": label}
        axes.plot(x, [float(row[key]) for row in rows], linewidth=1.2, markersize=5, **look)
    axes.set_xscale("log")
    axes.set_xlim(0.22, 1.14)
    axes.set_xticks([0.25, 0.5, 1], ["N/4", "N/2", "N"])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("samples")
    style.grid(axes, "both")


def plain(axes: Axes) -> None:
    """Write the numbers of a logarithmic axis of seconds in full."""
    axes.set(yscale="log", ylabel="seconds")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def main() -> None:
    """Write <name>.png and <name>.svg beside <name>.csv."""
    path = Path(sys.argv[1])
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    n = max(int(row["rows"]) for row in table)
    parts: dict[str, list[dict]] = {}
    for row in table:
        parts.setdefault(row["part"], []).append(row)
    with style.applied():
        figure = style.new_figure(5.2, width=9.0)
        left, right = figure.subplots(1, 2)
        lines(left, parts, "seconds", n)
        plain(left)
        lines(right, parts, "peak_rss_gib", n)
        right.set(ylabel="largest resident memory, GiB", ylim=(0, 1.1 * LIMIT))
        right.axhline(LIMIT, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8)
        style.note(figure, NOTE.format(n=n))
        style.save(figure, path.with_suffix(".png"), path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
