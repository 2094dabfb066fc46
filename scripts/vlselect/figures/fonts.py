"""Fonts for names in any script: matplotlib's own, and installed ones for what that one lacks.

DejaVu Sans comes with matplotlib, so figures in Latin, Greek and Cyrillic are the same on every
machine. Other scripts need a font of the machine.
"""

import logging
from collections.abc import Iterable

import pandas as pd
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

logger = logging.getLogger(__name__)

OWN = "DejaVu Sans"
UPRIGHT = ("regular", "book", "normal", "roman", "medium")
UNUSABLE = ("lastresort", "color", "colour")  # boxes for everything; pictures that Agg cannot draw


def characters(tables: Iterable[pd.DataFrame]) -> set[str]:
    """Return the characters of all texts in tables."""
    columns = [table[name] for table in tables for name in table.columns]
    texts = (set(column) for column in columns if not pd.api.types.is_numeric_dtype(column))
    return {letter for column in texts for text in column for letter in str(text)}


def families(wanted: Iterable[str]) -> list[str]:
    """Return the font families that draw these characters, the first one that has it for each.

    These are matplotlib's own and as few installed ones as are needed. For characters that no font
    has, matplotlib draws boxes, and a warning names them.
    """
    own = FT2Font(font_manager.findfont(OWN)).get_charmap()
    missing = {c for c in wanted if c.isprintable() and not c.isspace() and ord(c) not in own}
    found = [OWN]
    fonts = [(path, font, _letters(font)) for path, font in _installed()] if missing else []
    while missing and fonts:
        path, font, letters = max(fonts, key=lambda each: len(missing & each[2]))
        if not missing & letters:
            break
        font_manager.fontManager.addfont(path)  # it may be newer than matplotlib's list
        found.append(font.family_name)
        missing -= letters
    if len(found) > 1:
        logger.info("characters that %s lacks are drawn in %s", OWN, ", ".join(found[1:]))
    if missing:
        logger.warning(
            "no installed font has %d characters of the tables, which are drawn as boxes: %s; "
            "install a font that has them, such as Noto Sans (Debian: fonts-noto-core, "
            "fonts-noto-cjk)",
            len(missing),
            "".join(sorted(missing)[:40]),
        )
    return found


def _installed() -> list[tuple[str, FT2Font]]:
    """Return the fonts of this machine: upright ones without serifs first, then by path."""
    fonts = []
    for path in sorted(font_manager.findSystemFonts()):
        try:
            font = FT2Font(path)
        except (OSError, RuntimeError):
            continue  # a font that FreeType cannot read, or one that was just removed
        name = font.family_name.lower()
        if font.scalable and not any(part in name.replace(" ", "") for part in UNUSABLE):
            slanted = font.style_name.lower() not in UPRIGHT
            fonts.append(((slanted, "sans" not in name, path), font))
    return [(order[-1], font) for order, font in sorted(fonts, key=lambda each: each[0])]


def _letters(font: FT2Font) -> set[str]:
    return {chr(code) for code in font.get_charmap()}
