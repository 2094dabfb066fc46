"""Draw the table of overhead: each rule's seconds before its work, and its work."""

import argparse
import csv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from vlselect.figures import style

PARTS = {  # of overhead.csv: colour and name
    "start": ("#e69f00", "shell and interpreter; Snakemake's own"),
    "imports": ("#d55e00", "imports"),
    "load": ("#cc79a7", "loading the model"),
}
NUMBERS = ("jobs", "seconds", *PARTS)
WORK = "#56b4e9"
LARGEST = 14  # rules with a line of their own
AIM = 0.25
NOTE = (
    "Seconds of all jobs of one run together, from their benchmark files; the overhead before the "
    "work was measured afterwards, in fresh processes,\nmedians of rounds, and scaled to the pace "
    "of the run by its logs. Snakemake's own: a dry run and seconds in which no job ran,\nonce for "
    "each core; time of jobs beyond their own. Dashed: the aim."
)


def read(path: Path) -> list[dict]:
    """Read the table's rows, numbers as floats; NaN where empty."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{**row, **{key: float(row[key] or "nan") for key in NUMBERS}} for row in rows]


def merged(rows: list[dict]) -> list[dict]:
    """Return the rules with the most seconds, the others as one, and Snakemake."""
    rules = [row for row in rows if not row["rule"].startswith("(")]
    rules.sort(key=lambda row: -row["seconds"])
    shown, rest = rules[:LARGEST], rules[LARGEST:]
    if rest:
        sums = {key: sum(row[key] for row in rest) for key in NUMBERS}
        shown.append({"rule": f"{len(rest)} other rules", **sums})
    return shown + [{**row, "rule": "Snakemake"} for row in rows if row["rule"] == "(snakemake)"]


def bars(axes: Axes, rows: list[dict], whole: float) -> None:
    """Draw a bar for each rule, in the unit of `whole` seconds: overhead by part, then work."""
    for y, row in enumerate(rows):
        left = 0.0
        for part, (colour, _) in PARTS.items():
            axes.barh(y, row[part] / whole, left=left, height=0.7, color=colour)
            left += row[part] / whole
        axes.barh(y, max(row["seconds"] / whole - left, 0), left=left, height=0.7, color=WORK)
        end = max(row["seconds"] / whole, left)
        text = f"{row['seconds']:.0f} s"
        if row["seconds"]:  # logs have whole ones
            text += f", {100 * sum(row[part] for part in PARTS) / row['seconds']:.0f} %"
        axes.annotate(text, (end, y), (4, 0), textcoords="offset points", va="center", fontsize=7)
    counts = [f"  ({row['jobs']:.0f})" if row["jobs"] else "" for row in rows]
    names = [row["rule"] + count for row, count in zip(rows, counts, strict=True)]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.16)
    style.grid(axes, "x")


def main(argv: list[str] | None = None) -> None:
    """Write overhead.png and overhead.svg beside the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of overhead.csv")
    path = parser.parse_args(argv).folder / "overhead.csv"
    table = read(path)
    whole = next(row for row in table if row["rule"] == "(total)")
    with style.applied():
        rows = merged(table)
        figure = style.new_figure(1.9 + 0.24 * len(rows), width=9.0)
        top, below = figure.subplots(2, 1, height_ratios=[1.6, len(rows)])
        bars(top, [{**whole, "rule": "the whole run"}], whole["seconds"])
        top.axvline(AIM, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)))
        top.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        bars(below, rows, 1.0)
        below.set_xlabel("seconds of jobs; in brackets their number; percentages: overhead")
        for colour, label in [*PARTS.values(), (WORK, "work")]:
            top.barh(0, 0, color=colour, label=label)
        figure.legend(loc="outside upper left", ncols=4, fontsize=8)
        style.note(figure, NOTE)
        style.save(figure, path.with_suffix(".png"), path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
