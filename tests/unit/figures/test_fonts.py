"""Fonts for what matplotlib's own lacks: found, installed or said to be missing."""

import logging

import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from vlselect.figures import fonts, style

CHINESE, THAI = "计数", "นับ"


def make_font(path, name, letters, style_name="Regular"):
    """Write a font in which every one of these letters is a square."""
    builder = FontBuilder(1000, isTTF=True)
    names = {letter: f"u{ord(letter):04X}" for letter in letters}
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(letter): glyph for letter, glyph in names.items()})
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for point in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyf(dict.fromkeys([".notdef", *names.values()], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": style_name})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture()
def installed(monkeypatch):
    """Stand for the machine's fonts: paths are added to this list."""
    paths = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: paths)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    yield paths
    font_manager.fontManager._findfont_cached.cache_clear()


def table(*names):
    return pd.DataFrame({"source": list(names), "n": 3})


def test_latin_greek_and_cyrillic_need_no_other_font(installed, monkeypatch):
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: pytest.fail("looked for fonts"))
    texts = fonts.characters([table("naïve\n", "метод", "μέθοδος"), table("▲ −1 … ")])
    assert fonts.families(texts) == [fonts.OWN]


def test_an_installed_font_is_used_for_letters_that_the_own_one_lacks(installed, tmp_path, caplog):
    installed.append(make_font(tmp_path / "a.ttf", "Narrow Sans", CHINESE[:1]))
    installed.append(make_font(tmp_path / "b.ttf", "Wide Serif", CHINESE))
    installed.append(make_font(tmp_path / "c.ttf", "Thai Sans", THAI))
    with caplog.at_level(logging.INFO):
        assert fonts.families(CHINESE) == [fonts.OWN, "Wide Serif"]  # has more of them
        assert fonts.families(CHINESE + THAI)[1:] == ["Thai Sans", "Wide Serif"]
    assert "drawn in Wide Serif" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_among_fonts_with_the_same_letters_upright_ones_without_serifs_come_first(
    installed, tmp_path
):
    installed.append(make_font(tmp_path / "a.ttf", "One Sans", CHINESE, "Bold"))
    installed.append(make_font(tmp_path / "b.ttf", "One Serif", CHINESE))
    installed.append(make_font(tmp_path / "c.ttf", "Other Sans", CHINESE))
    assert fonts.families(CHINESE) == [fonts.OWN, "Other Sans"]


def test_fonts_of_boxes_and_unreadable_ones_are_not_used(installed, tmp_path, caplog):
    installed.append(make_font(tmp_path / "a.ttf", "Last Resort", CHINESE))
    (tmp_path / "b.ttf").write_bytes(b"no font")
    installed.append(str(tmp_path / "b.ttf"))
    installed.append(str(tmp_path / "removed.ttf"))
    assert fonts.families(CHINESE) == [fonts.OWN]
    assert "no installed font has 2 characters" in caplog.text


def test_letters_without_a_font_are_named_in_one_warning(installed, caplog, recwarn):
    with style.applied([table(CHINESE, "plain")]):
        figure = style.new_figure(2.0)
        figure.text(0.5, 0.5, CHINESE)
        figure.draw_without_rendering()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in ("no installed font has 2 characters", *CHINESE, "fonts-noto-cjk"):
        assert part in record.getMessage()
    assert not recwarn.list


def test_letters_are_drawn_in_the_font_that_was_found(installed, tmp_path):
    installed.append(make_font(tmp_path / "a.ttf", "Square Sans", CHINESE))
    with style.applied([table(CHINESE)]):
        figure = style.new_figure(2.0)
        box = figure.text(0.5, 0.5, CHINESE, fontsize=100).get_window_extent()
    assert box.width == pytest.approx(2 * 100 * 0.9 * figure.dpi / 72, rel=0.1)  # square glyphs
