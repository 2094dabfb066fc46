"""Writing and reading tables, and the names of runs."""

import csv
import math

import pandas as pd
import pytest

from vlselect.core.errors import InputError
from vlselect.tables import declarations

ROW = {
    "model": "target",
    "method": "icons",
    "ratio": "0.20",
    "task": "mean",
    "n_seeds": 3,
    "score": 66.66666666,
    "n_tasks": 7,
    "relative": 80.0,
    "low": float("nan"),
    "high": float("nan"),
    "df": float("nan"),
    "interval": "none",
    "question_low": 79.0,
    "question_high": 81.0,
}


def test_a_table_comes_back(tmp_path):
    path = tmp_path / "deep/er/t.csv"
    declarations.write_table(
        [ROW, ROW | {"model": "", "method": "None"}], "relative_performance", path
    )
    table = declarations.read_table(path, "relative_performance")
    assert table["ratio"].tolist() == ["0.20", "0.20"]  # labels stay labels
    assert table["model"].tolist() == ["target", ""]
    assert table["method"].tolist() == ["icons", "None"]
    assert table["n_seeds"].tolist() == [3, 3] and table["n_seeds"].dtype == "int64"
    assert table["score"].tolist() == [66.6667, 66.6667]
    assert all(math.isnan(value) for value in table["low"])


def test_same_rows_same_bytes_in_any_column_order(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    declarations.write_table([ROW], "relative_performance", first)
    declarations.write_table(
        pd.DataFrame([dict(reversed(ROW.items()))]), "relative_performance", second
    )
    assert first.read_bytes() == second.read_bytes()
    assert b"\r" not in first.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path not in (first, second)]


def test_texts_with_commas_quotes_and_lines_come_back(tmp_path):
    text = 'He said "7", then\nleft $5'
    row = dict.fromkeys(declarations.TABLES["vote_extremes"], text)
    row |= {"position": 1, "row": 2, "votes": 3}
    declarations.write_table([row], "vote_extremes", tmp_path / "t.csv")
    assert declarations.read_table(tmp_path / "t.csv", "vote_extremes")["question"].tolist() == [
        text
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "'quoted", "\t=1", "'=1"])
def test_a_formula_in_a_name_is_a_text_and_comes_back(tmp_path, name):
    path, table = tmp_path / "a.csv", "subset_composition"
    row = {c: "x" if kind == "text" else -1 for c, (kind, _) in declarations.TABLES[table].items()}
    declarations.write_table([row | {"source": name}], table, path)
    with path.open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["source"][0] not in "=+-@\t"
    found = declarations.read_table(path, table)
    assert found["source"].tolist() == [name] and found["n"].tolist() == [-1]


def test_an_empty_table_keeps_its_columns(tmp_path):
    declarations.write_table([], "subset_overlap", tmp_path / "t.csv")
    table = declarations.read_table(tmp_path / "t.csv", "subset_overlap")
    assert list(table.columns) == list(declarations.TABLES["subset_overlap"]) and table.empty


def test_wrong_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="relative_performance"):
        declarations.write_table([{"model": "m"}], "relative_performance", tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("model,method\nm,n\n")
    with pytest.raises(ValueError, match="needs"):
        declarations.read_table(tmp_path / "t.csv", "relative_performance")


def test_what_is_no_number_is_named(tmp_path):
    declarations.write_table([ROW], "relative_performance", tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text().replace("66.6667", "many")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match="t.csv: column score.*many"):
        declarations.read_table(tmp_path / "t.csv", "relative_performance")


def test_every_column_is_described():
    for table, columns in declarations.TABLES.items():
        for name, (kind, text) in columns.items():
            assert kind in ("text", "integer", "real") and text, (table, name)
            assert name in declarations.describe(table)


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("target/icons/ratio-0.2_seed-0", ("target", "icons", "0.2", "0")),
        ("d2_pruning/ratio-1.0_seed-12", ("", "d2_pruning", "1.0", "12")),
        ("majority", ("", "majority", "", "")),
        ("target/pretrained/ratio-0.0_seed-0", ("target", "pretrained", "0.0", "0")),
    ],
)
def test_names_of_runs(name, run):
    assert declarations.Run.parse(name) == declarations.Run(*run)


@pytest.mark.parametrize(
    "name", ["", "a/b", "ratio-0.2_seed-0", "a/b/c/ratio-1.0_seed-0", "a/ratio-1"]
)
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="is not"):
        declarations.Run.parse(name)


def test_ratios_sort_as_numbers():
    assert sorted(["0.2", "0.05", "", "1.0"], key=declarations.ratio_order) == [
        "",
        "0.05",
        "0.2",
        "1.0",
    ]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b'"model'])
def test_a_table_that_is_gone_or_broken_is_named(tmp_path, content):
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        declarations.read_table(path, "relative_performance")
    declarations.write_table([ROW, ROW], "relative_performance", path)
    whole = path.read_bytes()
    for size in set(range(len(whole))) - {i + 1 for i, byte in enumerate(whole) if byte == 10}:
        path.write_bytes(whole[:size])  # cut between two rows, it is a shorter table
        with pytest.raises(InputError, match=str(path)):
            declarations.read_table(path, "relative_performance")
