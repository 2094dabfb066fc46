"""Draw the images with the most and the fewest votes, with question, answer and votes.

Reads vote_extremes.csv, which contains the thumbnails.
"""

import argparse
import textwrap
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from vlselect.figures import style
from vlselect.pool.thumbnails import decode_thumbnail, shorten
from vlselect.tables import declarations

COLUMNS = 6
HEAD, CHARACTERS, QUESTION_LINES, ANSWER_LINES = 28, 24, 4, 2
TITLES = {"most": "Most votes", "least": "Fewest votes"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extremes", type=Path, required=True)
    style.add_outputs(parser)
    return parser


def wrapped(text: str, lines: int) -> str:
    """Wrap a text into at most `lines` lines, ending with an ellipsis if it is longer."""
    return "\n".join(textwrap.wrap(text, CHARACTERS, max_lines=lines, placeholder=" …"))


def cell(image: Axes, words: Axes, row: dict) -> None:
    """Draw one sample: its image, and below it votes, source, question and answer."""
    image.imshow(decode_thumbnail(row["thumbnail"]), interpolation="nearest")
    for axes in (image, words):
        axes.set_axis_off()
    votes = f"{row['votes']} vote" + ("" if row["votes"] == 1 else "s")
    head = shorten(f"{votes} · {row['source']}", HEAD)
    question = wrapped(row["question"], QUESTION_LINES)
    at = {"va": "top", "ha": "center", "transform": words.transAxes, "linespacing": 1.15}
    words.text(0.5, 1.0, head, fontsize=6.5, color=style.GREY, **at)
    words.text(0.5, 0.86, question, fontsize=7, **at)
    lower = 0.86 - 0.155 * (question.count("\n") + 1) - 0.03
    answer = wrapped(row["answer"], ANSWER_LINES)
    words.text(0.5, lower, answer, fontsize=7, fontweight="bold", **at)


def sheet(part: Figure | SubFigure, rows: list[dict]) -> None:
    """Draw a grid of samples, `COLUMNS` wide."""
    lines = -(-len(rows) // COLUMNS)
    heights = [1.0, 0.72] * lines
    axes = part.subplots(2 * lines, COLUMNS, squeeze=False, height_ratios=heights)
    for i in range(lines * COLUMNS):
        line, column = divmod(i, COLUMNS)
        image, words = axes[2 * line, column], axes[2 * line + 1, column]
        if i < len(rows):
            cell(image, words, rows[i])
        else:
            image.set_axis_off()
            words.set_axis_off()


def draw(extremes: pd.DataFrame) -> Figure:
    """Draw the samples with the most votes above those with the fewest, for the first seed."""
    extremes = style.first_seed(extremes)
    groups = {
        extreme: extremes[extremes["extreme"] == extreme].to_dict("records") for extreme in TITLES
    }
    groups = {extreme: rows for extreme, rows in groups.items() if rows}
    lines = [-(-len(rows) // COLUMNS) for rows in groups.values()]
    figure = style.new_figure(sum(0.5 + 2.0 * count for count in lines) or 2.0, width=9.0)
    if not groups:
        style.empty(figure, "No sample has an image.")
        return figure
    parts = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=lines)[:, 0]
    for part, (extreme, rows) in zip(parts, groups.items(), strict=True):
        part.suptitle(TITLES[extreme], x=0.01, ha="left", fontweight="bold", fontsize=10)
        sheet(part, rows)
    places = sum(len(rows) for rows in groups.values())
    style.note(
        figure,
        f"{places} samples with an image; among equal votes, those with the highest (above) and "
        f"lowest (below) mean rank over the tasks; selection {style.seed_list(extremes['seed'])}.",
    )
    return figure


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    extremes = declarations.read_table(args.extremes, "vote_extremes")
    with style.applied():
        style.save(draw(extremes), args.png, args.svg)


if __name__ == "__main__":
    main()
