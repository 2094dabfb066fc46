"""Every figure of runs of every kind: no text over another, none cut off, no boxes for letters."""

import functools
import importlib
import re

import numpy as np
import pytest
from drawn_texts import corners, depth, drawn_texts, outside, overlapping
from figure_programs import FIGURES, read
from figure_tables import BUDGETS, write_tables
from matplotlib import font_manager

from vlselect.figures import style

FEW = ["random", "icons", "coincide"]
MANY = [*FEW, "el2n", "perplexity", *(f"method_{i:02}" for i in range(35))]
SOURCES = [f"source_{i:02}" for i in range(60)]
TASKS = [f"a benchmark {i}" for i in range(12)]
LONG = [f"{name}_with_a_name_that_says_all_of_its_{i}_many_settings" for i, name in enumerate(FEW)]
LONG += ["W" * 70, "l" * 300, "a name in words, with a comma & $5 to $6 and some more of it"]
LETTERS = ["метод отбора данных", "μέθοδος", "méthode à nous", "số liệu", "ШИРОКИЕ ЗАГЛАВНЫЕ БУКВЫ"]
CHINESE = "计数选择数据子集的方法"
WITHOUT = ["random", CHINESE, CHINESE * 8, CHINESE * 8 + "二", "двести " + CHINESE]
CASES = {
    "few": {"methods": FEW},
    "one budget": {"methods": MANY[:11], "budgets": {"0.2": "ratio-0.2"}, "models": ["target"]},
    "many methods and sources": {
        "methods": MANY,
        "sources": SOURCES,
        "models": ["target"],
        "budgets": dict(list(BUDGETS.items())[:2]),
    },
    "many models and tasks": {
        "methods": FEW,
        "models": [f"model {i}" for i in range(12)],
        "tasks": TASKS,
        "seeds": ["0", "1", "2"],
    },
    "long names": {"methods": LONG, "sources": LONG, "models": LONG[2:4], "tasks": LONG},
    "other letters": {"methods": LETTERS, "sources": LETTERS, "models": LETTERS, "tasks": LETTERS},
    "letters without a font": {"methods": WITHOUT, "sources": WITHOUT, "tasks": WITHOUT},
    "numbers missing": {"methods": FEW, "missing": 0.5, "seeds": ["0", "1"]},
    "no numbers": {"methods": FEW, "missing": 1.0},
    "no seeds": {"methods": FEW, "seeds": [""]},
    "many budgets": {
        "methods": FEW,
        "budgets": {f"0.{i}": f"{k}-{i * 1111111}" for i in range(1, 7) for k in ("tokens",)},
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders with the tables of each case."""

    @functools.cache
    def write(case):
        return write_tables(tmp_path_factory.mktemp("tables"), **CASES[case])

    return write


@pytest.mark.parametrize("script", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_every_text_can_be_read(script, case, folders, monkeypatch, recwarn, caplog):
    monkeypatch.setattr(font_manager, "findSystemFonts", list)  # as on a machine without fonts
    *tables, key = read(script, folders(case))
    with style.applied(tables):
        figure = importlib.import_module(script).draw(*tables, key)
        style.settle(figure)
        texts = drawn_texts(figure)
        assert texts
        assert overlapping(texts) == []
        assert outside(texts, figure) == []
    assert not [text for text, _ in texts if re.search(r"\bnan\b", text.get_text(), re.I)]
    assert not recwarn.list  # a layout that failed, for example
    named = {letter for table in tables for letter in str(table.to_dict()) if letter in CHINESE}
    assert bool(named) == ("no installed font has" in caplog.text)


def test_forty_methods_look_the_same_in_two_figures_and_differ_from_each_other(folders):
    *tables, key = read("plot_performance_by_ratio", folders("many methods and sources"))
    with style.applied(tables):
        figure = importlib.import_module("plot_performance_by_ratio").draw(*tables, key)
        handles = figure.legends[0].get_lines()
    looks = {line.get_label(): (line.get_color(), line.get_marker()) for line in handles}
    assert len(set(looks.values())) == len(looks) == len(MANY) + 1
    *tables, key = read("plot_cost", folders("many methods and sources"))
    with style.applied(tables):
        bars = importlib.import_module("plot_cost").draw(*tables, key).axes[1]
    markers = [line for line in bars.lines if line.get_marker() != "None"]
    names = [label.get_text().split(",")[0] for label in bars.get_yticklabels()]
    for name, line in list(zip(names, markers, strict=True))[1:]:
        assert looks[name] == (line.get_color(), line.get_marker()), name


def test_the_checks_see_texts_that_overlap_or_are_cut_off():
    with style.applied():
        figure = style.new_figure(2.0, width=3.0)
        figure.text(0.5, 0.5, "one text")
        figure.text(0.52, 0.5, "another")
        figure.text(0.9, 0.9, "too far to the right")
        figure.text(0.5, 0.2, "hidden", visible=False)
        texts = drawn_texts(figure)
        assert len(texts) == 3
        assert overlapping(texts) == [("one text", "another")]
        assert outside(texts, figure) == ["too far to the right"]


def test_rotated_texts_are_measured_along_their_direction():
    with style.applied():
        figure = style.new_figure(2.0, width=3.0)
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        labels = [figure.text(x, 0.6, "a long label", **turned) for x in (0.6, 0.7, 0.71)]
        boxes = [corners(label) for label in labels]
        assert depth(boxes[0], boxes[1]) < 0 < depth(boxes[1], boxes[2])
        assert np.allclose(labels[0].get_rotation(), 45)
