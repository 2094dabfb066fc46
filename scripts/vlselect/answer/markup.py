"""HTML from Python values: every text is escaped, and only elements made here are not."""

import html
from collections.abc import Iterable

VOID = ("circle", "line", "rect")  # SVG without content


class Markup(str):
    """HTML that is complete and safe as it stands."""

    __slots__ = ()


Content = str | None | Iterable["Content"]


def element(tag: str, *content: Content, **attributes: object) -> Markup:
    """Return an element; texts are escaped, None is left out, lists are opened.

    Attributes are written with ``-`` for ``_`` and without one at the end (``class_``).
    """
    pairs = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    written = "".join(f' {name}="{html.escape(str(value))}"' for name, value in pairs.items())
    if tag in VOID:
        return Markup(f"<{tag}{written}/>")
    return Markup(f"<{tag}{written}>{joined(content)}</{tag}>")


def joined(content: Iterable[Content]) -> Markup:
    """Return pieces of content one after another."""
    return Markup("".join(_escaped(piece) for piece in content))


def table(head: Iterable[Content], rows: Iterable[Iterable[Content]], caption: str) -> Markup:
    """Return a table whose first column names its rows, in a box that scrolls if it is too wide."""
    top = element("tr", [element("th", cell, scope="col") for cell in head])
    lines = []
    for first, *rest in rows:
        cells = [element("th", first, scope="row"), *(element("td", cell) for cell in rest)]
        lines.append(element("tr", cells))
    titled = element("caption", caption)
    inner = element("table", titled, element("thead", top), element("tbody", lines))
    return element("div", inner, class_="wide", tabindex=0, role="region", aria_label=caption)


def _escaped(piece: Content) -> str:
    if piece is None:
        return ""
    if isinstance(piece, Markup):
        return piece
    return html.escape(piece) if isinstance(piece, str) else joined(piece)
