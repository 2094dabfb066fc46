"""Colours, names and the saving of figures."""

import re

import matplotlib
import pytest

from vlselect import style


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_every_method_has_a_colour_of_its_own():
    assert len(set(style.METHOD_COLOURS.values())) == len(style.METHOD_COLOURS)


def test_unknown_methods_get_a_readable_colour_that_stays():
    colours = {name: style.method_colour(name) for name in ("magic", "xmas", "prism", "coido")}
    assert colours["magic"] == style.method_colour("magic")
    assert len(set(colours.values())) == len(colours)
    for colour in colours.values():
        assert re.fullmatch(r"#[0-9a-f]{6}", colour)
        assert 1.05 / (luminance(colour) + 0.05) > 2.0  # contrast to white


def test_names():
    assert style.method_name("coincide") == "COINCIDE"
    assert style.method_name("my_method") == "my method"
    assert style.percent("0.2") == "20 %" and style.percent("0.075") == "7.5 %"
    assert style.listing([1]) == "1" and style.listing("abc") == "a, b and c"


def test_many_sources_can_be_told_apart():
    styles = style.source_styles([f"s{i}" for i in range(36)])
    looks = {(look["facecolor"], look["hatch"]) for look in styles.values()}
    assert len(looks) == 36


def draw_something():
    figure = style.new_figure(2.0, width=3.0)
    axes = figure.subplots()
    axes.bar([0, 1], [1, 2], hatch="//")
    axes.plot([0, 1], [1, 2], clip_on=True)
    axes.set_title("costs $5 and $6")
    style.note(figure, "n = 2")
    return figure


def test_same_figure_same_bytes_without_dates(tmp_path):
    for name in ("a", "b"):
        with style.applied():
            style.save(draw_something(), tmp_path / f"{name}.png", tmp_path / f"{name}.svg")
    for suffix in ("png", "svg"):
        first = (tmp_path / f"a.{suffix}").read_bytes()
        assert first == (tmp_path / f"b.{suffix}").read_bytes()
    assert b"<dc:date>" not in first and b"Matplotlib v" not in first
    assert b"Software" not in (tmp_path / "a.png").read_bytes()


def test_settings_end_with_the_block():
    before = matplotlib.rcParams["font.size"]
    with style.applied():
        assert matplotlib.rcParams["svg.hashsalt"] == "vlselect"
    assert matplotlib.rcParams["font.size"] == before


def test_labels_of_close_points_do_not_overlap():
    with style.applied():
        figure = style.new_figure(4.0, width=6.0)
        axes = figure.subplots()
        points = [(1.0, 1.0), (1.3, 1.01), (1.1, 1.4), (3.0, 1.0), (3.0, 3.0), (1.0, 1.05)]
        axes.scatter(*zip(*points, strict=True))
        labels = [(x, y, f"method {i}", "black") for i, (x, y) in enumerate(points)]
        style.label_points(axes, labels)
        boxes = [text.get_window_extent() for text in axes.texts]
        frame = axes.get_window_extent()
    assert len(boxes) == len(points)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_notes_speak_of_intervals_only_where_there_are_seeds():
    assert style.seed_list(["10", "2", "2"]) == "seeds 2 and 10"
    assert style.interval_note(["7"], "lines") == "finetuning seed 7."
    assert "lines: 95 % t interval" in style.interval_note(["0", "1"], "lines")


@pytest.mark.parametrize("label", ["", "many"])
def test_a_ratio_that_is_no_number_is_an_error(label):
    with pytest.raises(ValueError):
        style.percent(label)
