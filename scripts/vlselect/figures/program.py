"""What all plot programs share: their flags, and how a figure is drawn and written."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from vlselect.core import log
from vlselect.figures import style
from vlselect.figures.key import Key
from vlselect.tables import declarations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every plot program."""
    about = (
        "the run's methods: in all its figures, one that the project does not know looks the same"
    )
    parser.add_argument("--methods", nargs="*", required=True, help=about)
    declarations.add_budgets_argument(parser)
    parser.add_argument("--png", type=Path, required=True, help="the figure as PNG")
    parser.add_argument("--svg", type=Path, required=True, help="the same as SVG")


def write(draw: Callable[..., Figure], args: argparse.Namespace, tables: dict[str, str]) -> None:
    """Read tables, draw them in the project's style, and write the figure.

    Parameters
    ----------
    draw : function
        Takes the tables in this order, and the key to them.
    tables : dict of str to str
        For each flag with a table's path, the table's name.
    """
    log.start()
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font without bold
    content = [declarations.read_table(getattr(args, f), name) for f, name in tables.items()]
    key = Key.read(args.methods, args.budgets, content)
    with style.applied(content):
        figure = draw(*content, key)
        style.settle(figure)
        style.save(figure, args.png, args.svg)
