"""Colours, markers and names of methods, and names of budgets."""

import re

import numpy as np
import pandas as pd
import pytest

from vlselect.core import registry
from vlselect.figures import key, style
from vlselect.figures.key import Key
from vlselect.tables import declarations

OWN = [f"my_method_{i}" for i in range(40)]


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
    colours = [*key.METHOD_COLOURS.values(), *key.OWN_COLOURS]
    seen = [oklab(colour, eye) for colour in colours]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > least


def test_every_method_of_the_project_has_a_colour():
    assert set(registry.names("method")) <= {*key.METHOD_COLOURS}


def looks(methods, of=None):
    known = Key(methods)
    return {method: (known.colour(method), known.marker(method)) for method in of or methods}


def test_forty_methods_of_ones_own_can_be_told_apart_from_all_others():
    every = [*key.METHOD_COLOURS, *OWN]
    assert len(set(looks(every).values())) == len(every)


def test_the_first_own_methods_have_colours_of_their_own():
    first = OWN[: len(key.OWN_COLOURS)]
    colours = [colour for colour, _ in looks([*key.METHOD_COLOURS, *first]).values()]
    assert len(set(colours)) == len(colours)
    for colour in colours[3:]:
        assert re.fullmatch(r"#[0-9a-f]{6}", colour)
        assert 1.05 / (luminance(colour) + 0.05) > 2.0  # contrast to white


def test_a_method_looks_the_same_whatever_else_a_figure_shows():
    whole = looks(OWN)
    tables = [pd.DataFrame({"method": OWN[7:9]}), pd.DataFrame({"method": ["el2n", OWN[30]]})]
    for table in tables:
        part = Key.read(OWN, [], [table])
        for method in table["method"]:
            if method in whole:
                assert (part.colour(method), part.marker(method)) == whole[method]
    more = looks([*OWN, "one_more"], OWN)  # a method added to the config changes no other
    assert more == whole
    assert looks(["icons", *OWN], OWN) == whole


def test_methods_that_only_tables_name_have_looks_too():
    table = pd.DataFrame({"method_a": ["b", "a"], "method_b": ["c", "icons"]})
    shown = Key.read(["c"], [], [table])
    assert list(shown.methods) == ["c", "a", "b", "icons"]
    assert len({shown.colour(method) for method in shown.methods}) == 4


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_names():
    with style.applied():
        shown = Key(["my_method", "x" * 60, "x" * 61])
        assert shown.method("coincide") == "COINCIDE"
        assert shown.method("my_method") == "my method"
        assert "…" in shown.method("x" * 60) and shown.method("x" * 60) != shown.method("x" * 61)
    assert key.percent("0.2") == "20 %" and key.percent("0.075") == "7.5 %"
    assert style.listing([1]) == "1" and style.listing("abc") == "a, b and c"


def test_budgets_are_named_as_in_the_config(tmp_path):
    rows = [("ratio-0.2", "0.2"), ("tokens-250000", "0.182133"), ("samples-1000", "0.11")]
    rows = [{"budget": b, "ratio": r, "amount": 1, "pool": 9} for b, r in rows]
    path = tmp_path / "budgets.csv"
    declarations.write_table(rows, "budgets", path)
    shown = Key.read(["icons"], [path], [])
    assert shown.budget("0.2") == "20 %" and shown.budget("0.05") == "5 %"
    assert shown.budget("0.182133") == "250,000 tokens" and shown.budget("0.11") == "1,000 samples"
    assert shown.budget_lines("0.11") == "1,000\nsamples" and shown.budget_lines("0.2") == "20 %"
    assert shown.in_order(["0.182133", "0.2", "0.11"]) == ["0.11", "0.2", "0.182133"]
    with style.applied():
        assert shown.subset("icons", "0.182133") == "ICONS, 250,000 tokens"
        assert shown.subset("full", "1.0") == "full pool"


@pytest.mark.parametrize("label", ["", "many"])
def test_a_ratio_that_is_no_number_is_an_error(label):
    with pytest.raises(ValueError):
        key.percent(label)
