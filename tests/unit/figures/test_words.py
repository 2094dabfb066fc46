"""Texts that have to fit."""

import pytest

from vlselect.figures import style, words


@pytest.fixture(autouse=True)
def styled():
    with style.applied():
        yield


def test_widths_are_those_on_the_canvas():
    figure = style.new_figure(2.0, width=6.0)
    for text in ("a few plain words", "WWW\nil", "ШИРОКИЕ"):
        box = figure.text(0, 0, text, fontsize=8, fontweight="bold").get_window_extent()
        assert words.width(text, 8, "bold") == pytest.approx(box.width * 72 / figure.dpi, abs=0.5)


def test_short_names_stay_and_long_ones_lose_their_middle():
    names = ["counting", "a" * 30 + "_variant_a", "a" * 30 + "_variant_b"]
    short = words.fitted(names, 100.0)
    assert short[0] == "counting"
    assert short[1].endswith("iant_a") and short[2].endswith("iant_b")
    assert all("…" in name and words.width(name, 9) <= 100.0 for name in short[1:])
    longer = words.fitted(names, 101.0)
    assert all(words.width(name, 9) > 90.0 for name in longer[1:])  # no more is taken out than must


def test_names_that_differ_in_the_middle_are_numbered():
    names = [f"{'a' * 40}{i}{'b' * 40}" for i in range(3)]
    short = words.fitted([*names, names[1]], 90.0)
    assert len(set(short)) == 3 and short[3] == short[1]
    assert short[1].endswith(" (2)") and short[2].endswith(" (3)")
    assert all(words.width(name, 9) <= 90.0 for name in short)


def test_line_breaks_in_names_become_spaces():
    assert words.fitted(["two\nlines"], 100.0) == ["two lines"]


def test_texts_are_wrapped_at_spaces_and_else_inside_words():
    text = "which digits are there, in order? " + "Supercalifragilistic" * 3 + " цифра" * 3
    lines = words.wrapped(text, 80.0, 7).split("\n")
    assert all(words.width(line, 7) <= 80.0 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert lines[0] == "which digits are"


def test_what_has_no_room_ends_in_an_ellipsis():
    text = words.wrapped("one two three four five six seven", 40.0, 7, lines=2)
    assert text.count("\n") == 1 and text.endswith(" …")
    assert all(words.width(line, 7) <= 40.0 for line in text.split("\n"))
    assert words.wrapped("one", 40.0, 7, lines=2) == "one" and words.wrapped("", 40.0, 7) == ""
