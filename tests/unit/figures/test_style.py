"""Colours, names and saving of figures."""

import re

import matplotlib
import numpy as np
import pandas as pd
import pytest

from vlselect.figures import style


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_every_method_has_a_colour_of_its_own():
    assert len(set(style.METHOD_COLOURS.values())) == len(style.METHOD_COLOURS)


LINEAR = {  # linear RGB as seen by each kind of eye (Machado et al. 2009, full severity)
    "any": np.eye(3),
    "deuteranopic": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopic": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}


def oklab(colour, eye):
    """Convert a colour to Ottosson's OKLab, where distances match perceived differences."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(LINEAR[eye]) @ linear, 0, 1)
    to_cones = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    to_lab = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ linear)


@pytest.mark.parametrize(
    ("eye", "least"), [("any", 0.1), ("deuteranopic", 0.04), ("protanopic", 0.04)]
)
def test_colours_of_methods_can_be_told_apart(eye, least):
    seen = [oklab(colour, eye) for colour in style.METHOD_COLOURS.values()]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > least


def test_markers_differ_too_and_stay():
    markers = [style.method_marker(method) for method in style.METHOD_COLOURS]
    assert len(set(markers)) == len(markers)
    assert style.method_marker("my_method") == style.method_marker("my_method")


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


@pytest.mark.parametrize("label", ["", "many"])
def test_a_ratio_that_is_no_number_is_an_error(label):
    with pytest.raises(ValueError):
        style.percent(label)
