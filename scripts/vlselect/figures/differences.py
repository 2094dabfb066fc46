"""Differences from random selection, as text beside the rows of a figure."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from vlselect.figures import style
from vlselect.figures.key import Key
from vlselect.tables.declarations import HIGHER, LOWER

SURE = 0.05  # of p after Holm's correction: the triangle is filled
HEADING = "difference from random\nat the same budget, points"


def note(compared: pd.DataFrame, interval: str) -> str:
    """Return the sentences of a figure's note about the differences, on a new line; "" if none.

    `interval` is its name from `style.shown_intervals`.
    """
    if not interval:
        return ""
    text = f"\nDifferences: {interval}."
    if compared["p"].notna().any():
        text += " Triangle: it excludes zero; filled: also p < 0.05 after Holm's correction."
    return text


def signed(value: float, plus: bool = True) -> str:
    """Format with one decimal, a true minus sign, and no sign on zero."""
    text = f"{value:+.1f}" if plus else f"{value:.1f}"
    if float(text) == 0.0:
        return "0.0"
    return text.replace("-", "\N{MINUS SIGN}")


def difference(row: dict) -> tuple[str, str]:
    """Return the mark for a row of ``comparison_with_random.csv`` ("" for none), and its text.

    The triangle points up or down where the interval excludes zero. It is filled if p after Holm's
    correction for all comparisons of the table is below 0.05 too.
    """
    if pd.isna(row["difference"]):
        return "", "unknown"
    text = signed(row["difference"])
    if pd.notna(row["low"] + row["high"]):
        text += f" [{signed(row['low'], plus=False)}, {signed(row['high'], plus=False)}]"
    sure = row["p_holm"] <= SURE
    up, down = ("\u25b2", "\u25bc") if sure else ("\u25b3", "\u25bd")
    return {HIGHER: up, LOWER: down}.get(row["verdict"], ""), text


def write_beside(
    axes: Axes, rows: Sequence[dict], compared: pd.DataFrame, key: Key, start: float
) -> None:
    """Write the differences from random selection as a column of text to the right of a panel.

    Parameters
    ----------
    axes : Axes
        A panel with rows at y = 0, 1, 2, …
    rows : sequence of dict
        Method and ratio of each row; rows without a comparison stay empty.
    compared : DataFrame
        The rows of ``comparison_with_random.csv`` of the panel's model.
    key : Key
        The key to the methods.
    start : float
        Where the column starts, in points to the right of the panel.
    """
    numbers = compared.set_index(["method", "ratio"]).to_dict("index")
    at = {"textcoords": "offset points", "va": "center", "fontsize": 8}
    side = axes.get_yaxis_transform()  # x in shares of the panel's width, y in rows
    for y, row in enumerate(rows):
        if (row["method"], row["ratio"]) in numbers:
            mark, text = difference(numbers[row["method"], row["ratio"]])
            colour = style.INK if mark else style.GREY
            axes.annotate(mark, (1, y), (start, 0), side, color=key.colour(row["method"]), **at)
            axes.annotate(text, (1, y), (start + 14, 0), side, color=colour, **at)
    title = {"fontsize": 8, "color": style.GREY, "va": "bottom", "linespacing": 1.1}
    place = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(HEADING, (1.0, 1.0), (start, 3), **title, **place)
