"""Sources, notes, labels and saving of figures."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from vlselect.figures import style


def test_many_sources_can_be_told_apart():
    styles = style.source_styles([f"s{i}" for i in range(36)])
    looks = {(look["facecolor"], look["hatch"]) for look in styles.values()}
    assert len(looks) == 36


@pytest.mark.parametrize("name", ["RdBu_r", "Oranges", "viridis_r"])
def test_numbers_have_enough_contrast_on_every_colour_of_a_map(name):
    for colour in matplotlib.colormaps[name](np.linspace(0, 1, 101)):
        ink = to_rgb(style.readable_on(colour))
        light, dark = sorted((luminance(to_rgb(colour)), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3.9


def luminance(rgb):
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in rgb]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_a_figure_too_large_for_matplotlib_has_fewer_dots(tmp_path, caplog):
    with style.applied():
        figure = style.new_figure(600.0, width=0.2)
        style.save(figure, tmp_path / "high.png", tmp_path / "high.svg")
    assert "dots per inch" in caplog.text
    with Image.open(tmp_path / "high.png") as image:
        assert 60_000 < image.height < 2**16


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
        figure.draw_without_rendering()
        style.label_points(axes, labels)
        boxes = [text.get_window_extent() for text in axes.texts]
        frame = axes.get_window_extent()
    assert len(boxes) == len(points)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_notes_speak_of_intervals_only_where_there_are_seeds():
    assert style.seed_list([""]) == "seeds not stated"
    assert style.seed_list(["10", "2", "2"]) == "seeds 2 and 10"
    assert style.interval_note(["7"], "lines", "") == "finetuning seed 7."
    text = style.interval_note(["0", "1"], "lines", "95 % interval over seeds")
    assert text == "circles: finetuning seeds 0 and 1; lines: 95 % interval over seeds."


def test_a_figure_shows_one_kind_of_interval_and_names_it():
    none = float("nan")
    row = {"low": 1.0, "high": 2.0, "interval": "seeds and questions"}
    row |= {"question_low": 1.4, "question_high": 1.6}
    empty = row | {"low": none, "high": none, "interval": "none"}
    rows, name = style.shown_intervals(pd.DataFrame([row, empty]))
    assert name == "95 % interval over seeds and questions"
    assert rows["low"].notna().tolist() == [True, False]  # no other kind of interval beside it
    rows, name = style.shown_intervals(pd.DataFrame([empty]))
    assert name == "95 % interval over questions (these checkpoints only)"
    assert rows[["low", "high"]].to_numpy().tolist() == [[1.4, 1.6]]
    nothing = pd.DataFrame([empty | {"question_low": none, "question_high": none}])
    assert style.shown_intervals(nothing)[1] == ""
