"""Draw the three tables of gradients: per-sample gradients, projections, the whole job."""

import argparse
import csv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import NullFormatter

from vlselect.figures import style

NOTE = (
    "Seconds of one processor thread, contenders in turns, median ratios of the rounds. Ordinary "
    "step: a batched forward and backward pass, without per-sample gradients. tiny, larger: "
    "LLaVA of 0.6 and 67 million\nparameters, samples of 10-43 and of 70-677 tokens. Distortion: "
    "relative error of the inner products of every two samples' gradients; the numbers beside the "
    "marks are k."
)
OURS, FLOOR, OTHERS = "#d55e00", style.INK, "#0072b2"
LABELLED = ("trak rademacher", "shifted")  # k has nearly the same height for all


def read(path: Path) -> list[dict]:
    """Read a table's rows that have a time."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["ms_per_sample"]]


def points(axes: Axes, rows: list[dict], key: str, title: str) -> None:
    """Draw a line for each contender, with a mark for each model and its milliseconds beside it."""
    names = list(dict.fromkeys(row["contender"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    for number, model in enumerate(models):
        own = [row for row in rows if row["model"] == model]
        shift = 0.17 * (2 * number - len(models) + 1)
        for row in own:
            x, y = float(row[key]), names.index(row["contender"]) + shift
            look = {"color": colour(row["contender"]), "marker": style.MARKERS[number]}
            axes.plot(x, y, **look, fillstyle="none" if number else "full", linestyle="none")
            cost = float(row["ms_per_sample"])
            text = f"{x:.3g}×, {cost:{',.0f' if cost >= 100 else '.3g'}} ms"
            axes.annotate(text, (x, y), xytext=(8, 0), textcoords="offset points", va="center",
                          fontsize=7, path_effects=style.halo())  # fmt: skip
        axes.plot([], [], color=style.GREY, marker=style.MARKERS[number], linestyle="none",
                  fillstyle="none" if number else "full", label=model)  # fmt: skip
    axes.axvline(1, color=style.GREY, linewidth=0.8, linestyle=":")
    widest = max(float(row[key]) for row in rows)
    least = min(float(row[key]) for row in rows)
    axes.set(xscale="log", xlim=(least / 1.3, 1.5 * widest ** (1 if widest < 3 else 1.5)))
    axes.set(title=title, xlabel=key.replace("_", " "), yticks=range(len(names)))
    axes.set_yticklabels(names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.legend(fontsize=7, loc="upper right")
    style.grid(axes, "both")
    plain(axes.xaxis)


def plain(axis: Axis) -> None:
    """Write a logarithmic axis' numbers in full."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def colour(contender: str) -> str:
    """Return the colour of ours, of the floor, or of another contender."""
    if contender.startswith("ours"):
        return OURS
    return FLOOR if contender == "ordinary step" else OTHERS


def scatter(axes: Axes, rows: list[dict], model: str) -> None:
    """Draw time against distortion, a line for each projection over its k."""
    rows = [row for row in rows if row["model"] == model]
    for number, name in enumerate(dict.fromkeys(row["projection"] for row in rows)):
        own = [row for row in rows if row["projection"] == name]
        x = [float(row["share_of_pass"]) for row in own]
        y = [float(row["relative_error"]) for row in own]
        tint = style.SOURCE_COLOURS[number]
        axes.plot(x, y, color=tint, marker=style.MARKERS[number], linewidth=1, label=name)
        if name in LABELLED:
            for row, a, b in zip(own, x, y, strict=True):
                left = name == "shifted"  # it is left of most others
                axes.annotate(row["dim"], (a, b), xytext=(-6 if left else 6, 3),
                              textcoords="offset points", ha="right" if left else "left",
                              fontsize=7, color=style.GREY, path_effects=style.halo(),
                              zorder=5)  # fmt: skip
    axes.axvline(0.1, color=style.GREY, linewidth=0.8, linestyle=":")  # the target
    axes.set(xscale="log", yscale="log", title=f"Projection ({model})")
    axes.set(xlabel="time, share of the backward pass", ylabel="relative error of inner products")
    axes.margins(x=0.15)
    style.grid(axes, "both")
    plain(axes.xaxis)
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)


def main(argv: list[str] | None = None) -> None:
    """Write gradients.png and gradients.svg beside the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the three tables")
    folder = parser.parse_args(argv).folder
    projections = read(folder / "projection.csv")
    models = list(dict.fromkeys(row["model"] for row in projections))
    with style.applied():
        figure = style.new_figure(4.4, width=9.0 + 4.0 * len(models))
        panels = figure.subplots(1, 2 + len(models))
        step, whole = read(folder / "per_sample_gradients.csv"), read(folder / "end_to_end.csv")
        points(panels[0], step, "times_ordinary_step", "Per-sample gradients")
        for axes, model in zip(panels[1:-1], models, strict=True):
            scatter(axes, projections, model)
        handles = panels[1].get_legend_handles_labels()
        panels[-2].legend(*handles, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
        points(panels[-1], whole, "times_ours", "The whole job")
        style.note(figure, NOTE)
        style.save(figure, folder / "gradients.png", folder / "gradients.svg")


if __name__ == "__main__":
    main()
