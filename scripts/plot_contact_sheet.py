"""Draw the images with the most and the fewest votes, with question, answer and votes.

Reads vote_extremes.csv, which contains the thumbnails.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from vlselect.figures import program, style, words
from vlselect.figures.key import Key
from vlselect.pool.thumbnails import decode_thumbnail

COLUMNS = 6
WIDTH = 9.0  # inches
HEAD, TEXT, QUESTION_LINES, ANSWER_LINES = 6.5, 7, 4, 2  # sizes in points, lines at most
ROOM = 72 * WIDTH / COLUMNS - 6  # points for a line of a cell
TITLES = {"most": "Most votes", "least": "Fewest votes"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extremes", type=Path, required=True)
    program.add_arguments(parser)
    return parser


def cell(image: Axes, text_axes: Axes, row: dict) -> None:
    """Draw one sample: its image, and below it votes, source, question and answer."""
    image.imshow(decode_thumbnail(row["thumbnail"]), interpolation="nearest")
    for axes in (image, text_axes):
        axes.set_axis_off()
    votes = f"{row['votes']} vote{'' if row['votes'] == 1 else 's'} · "
    source = words.fitted([row["source"]], ROOM - words.width(votes, HEAD), HEAD)[0]
    question = words.wrapped(row["question"], ROOM, TEXT, QUESTION_LINES)
    answer = words.wrapped(row["answer"], ROOM, TEXT, ANSWER_LINES, "bold")
    at = {"va": "top", "ha": "center", "transform": text_axes.transAxes, "linespacing": 1.15}
    text_axes.text(0.5, 1.0, votes + source, fontsize=HEAD, color=style.GREY, **at)
    text_axes.text(0.5, 0.86, question, fontsize=TEXT, **at)
    lower = 0.86 - 0.155 * (question.count("\n") + 1) - 0.03
    text_axes.text(0.5, lower, answer, fontsize=TEXT, fontweight="bold", **at)


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


def draw(extremes: pd.DataFrame, key: Key) -> Figure:
    """Draw the samples with the most votes above those with the fewest, for the first seed."""
    extremes = style.first_seed(extremes)
    groups = {
        extreme: extremes[extremes["extreme"] == extreme].to_dict("records") for extreme in TITLES
    }
    groups = {extreme: rows for extreme, rows in groups.items() if rows}
    lines = [-(-len(rows) // COLUMNS) for rows in groups.values()]
    figure = style.new_figure(sum(0.5 + 2.0 * count for count in lines) or 2.0, width=WIDTH)
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
    tables = {"extremes": "vote_extremes"}
    program.write(draw, build_parser().parse_args(argv), tables)


if __name__ == "__main__":
    main()
