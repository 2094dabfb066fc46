"""Texts in the figures' font: how wide they are, and how to make them fit. Widths are in points."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache, lru_cache

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

ELLIPSIS = "…"
RESOLUTION = 150  # dots per inch of the PNG


def width(text: str, size: float, weight: str = "normal") -> float:
    """Measure the widest line of a text in the font that `style.applied` sets."""
    families = tuple(matplotlib.rcParams["font.family"])
    return max(_pixels(line, size, weight, families) for line in text.split("\n")) * 72 / RESOLUTION


@lru_cache(maxsize=10_000)  # names come again in each panel
def _pixels(line: str, size: float, weight: str, families: tuple[str, ...]) -> float:
    font = FontProperties(family=list(families), size=size, weight=weight)
    return _canvas().get_text_width_height_descent(line, font, False)[0]


@cache
def _canvas() -> RendererAgg:
    """Return what measures texts as they are drawn: whole pixels make them wider than outlines."""
    return RendererAgg(1, 1, RESOLUTION)


def fitted(names: Sequence[str], most: float, size: float = 9.0, weight: str = "normal") -> list:
    """Shorten names in the middle until each is at most `most` wide; different ones stay different.

    Whatever else differs, the ends of names are what tells variants apart. Names that become the
    same are numbered.
    """
    short, seen = {}, set()
    for name in dict.fromkeys(names):
        text, number = _shortened(name, most, size, weight), 1
        while text in seen:
            number += 1
            mark = f" ({number})"
            text = _shortened(name, most - width(mark, size, weight), size, weight) + mark
        seen.add(text)
        short[name] = text
    return [short[name] for name in names]


def _shortened(name: str, most: float, size: float, weight: str) -> str:
    """Put a name on one line, and replace as much of its middle as has no room."""
    line = " ".join(name.split())
    if width(line, size, weight) <= most:
        return line
    kept = range(3, len(line))
    fits = bisect_right(kept, most, key=lambda n: width(_without_middle(line, n), size, weight))
    return _without_middle(line, 2 + fits)


def _without_middle(line: str, kept: int) -> str:
    return line[: kept - kept // 2].rstrip() + ELLIPSIS + line[len(line) - kept // 2 :].lstrip()


def wrapped(
    text: str, most: float, size: float, lines: int | None = None, weight: str = "normal"
) -> str:
    """Wrap a text, also inside words, into lines of at most `most`; an ellipsis ends a longer one.

    Lines are broken at spaces and, where a word alone is too wide (or the script has no spaces),
    between letters.
    """
    done, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width(longer, size, weight) <= most:
            line = longer
            continue
        done += [line] if line else []
        *full, line = _broken(word, most, size, weight)
        done += full
        if lines is not None and len(done) > lines:
            break
    done += [line] if line else []
    if lines is not None and len(done) > lines:
        done = done[:lines]
        while done[-1] and width(f"{done[-1]} {ELLIPSIS}", size, weight) > most:
            done[-1] = done[-1][:-1].rstrip()
        done[-1] = f"{done[-1]} {ELLIPSIS}".lstrip()
    return "\n".join(done)


def _broken(word: str, most: float, size: float, weight: str) -> list[str]:
    """Cut a word into parts that fit."""
    parts = []
    while width(word, size, weight) > most:
        ends = range(2, len(word))
        kept = bisect_right(ends, most, key=lambda end: width(word[:end], size, weight))
        parts.append(word[: kept + 1])  # one letter at least
        word = word[kept + 1 :]
    return [*parts, word]
