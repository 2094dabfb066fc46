"""scripts/list_refused.py and admit_samples.py: the table of refusals, and what follows from it."""

import admit_samples
import list_refused
import pandas as pd
import pytest

from vlselect.features.refusals import COLUMNS


def checked(*rows):
    """Make a table of checked samples from (part, row, sample_id, reason)."""
    filled = [(*row[:3], 5, 1, row[3], row[3] and f"{row[3]} of {row[2]!r}") for row in rows]
    return pd.DataFrame(filled, columns=list(COLUMNS))


def sound(part, n):
    return [(part, i, f"{part}-{i}", "") for i in range(n)]


def listed(folder, tables, table="refused"):
    """Write checked tables and the list of refusals; return the paths of both."""
    folder.mkdir()
    paths = [str(folder / f"{i}.parquet") for i in range(len(tables))]
    for path, part in zip(paths, tables, strict=True):
        part.to_parquet(path)
    out = folder / "refused.csv"
    list_refused.main(["--checked", *paths, "--table", table, "--out", str(out)])
    return paths, out


def admit(folder, tables, mode, table="refused"):
    paths, refused = listed(folder, tables, table)
    flags = ["--checked", *paths, "--refused", str(refused), "--name", "target"]
    out = folder / "left_out.parquet"
    admit_samples.main([*flags, "--on-refused", mode, "--out", str(out)])
    return pd.read_parquet(out)


def shards(n_bad):
    """Two shards of the pool; the second has refused samples of two reasons."""
    bad = [
        ("pool", 10 + i, f"bad-{i}", ("too_long", "image_cut")[i % 3 == 0]) for i in range(n_bad)
    ]
    return [checked(*bad, *[("pool", 10 + n_bad, "last", "")]), checked(*sound("pool", 10))]


def test_the_list_has_every_refused_sample_in_pool_order(tmp_path):
    _, path = listed(tmp_path / "a", shards(4))
    table = pd.read_csv(path)
    assert list(table) == ["sample_id", "reason", "message"]
    assert table["sample_id"].tolist() == [f"bad-{i}" for i in range(4)]
    assert table["reason"].tolist() == ["image_cut", "too_long", "too_long", "image_cut"]
    assert table["message"][1] == "too_long of 'bad-1'"
    _, path = listed(tmp_path / "none", shards(0))
    assert path.read_text() == "sample_id,reason,message\n"
    parts = checked(("a/validation", 3, "x", "too_long"), *sound("a/validation", 2))
    _, path = listed(tmp_path / "tasks", [parts], "refused_tasks")
    assert pd.read_csv(path).iloc[0].tolist() == ["a", "validation", "x", "too_long"] + [
        "too_long of 'x'"
    ]


def test_error_stops_with_counts_the_first_twenty_the_path_and_both_cures(tmp_path):
    with pytest.raises(ValueError) as caught:
        admit(tmp_path / "a", shards(30), "error")
    said = str(caught.value)
    assert said.startswith("model 'target' refuses 30 of 41 samples: 20 too_long, 10 image_cut\n")
    assert "too_long of 'bad-19'" in said and "'bad-20'" not in said and "and 10 more" in said
    assert str(tmp_path / "a/refused.csv") in said and (tmp_path / "a/refused.csv").exists()
    assert "`pool.exclude`" in said and "`on_refused: reject`" in said
    assert not (tmp_path / "a/left_out.parquet").exists()


def test_reject_leaves_them_out_and_says_so(tmp_path, capsys):
    table = admit(tmp_path / "a", shards(3), "reject")
    assert table.to_numpy().tolist() == [["pool", 10 + i, f"bad-{i}"] for i in range(3)]
    assert "refuses 3 of 14 samples: 2 too_long, 1 image_cut" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["error", "reject"])
def test_where_nothing_is_refused_nothing_is_left_out(tmp_path, mode):
    table = admit(tmp_path / "a", shards(0), mode)
    assert list(table) == ["part", "row", "sample_id"] and table.empty


@pytest.mark.parametrize("mode", ["error", "reject"])
def test_a_test_question_cannot_be_left_out(tmp_path, mode):
    parts = checked(("a/test", 9, "odd", "too_long"), *sound("a/test", 9))
    with pytest.raises(ValueError, match=r"'odd'[^$]*Take the questions out of a/test"):
        admit(tmp_path / "a", [parts], mode, "refused_tasks")


def test_a_validation_sample_can(tmp_path):
    parts = checked(("a/validation", 9, "odd", "too_long"), *sound("a/validation", 9))
    with pytest.raises(ValueError, match="Take them out of the tasks' files, or set `on_refused"):
        admit(tmp_path / "a", [parts], "error", "refused_tasks")
    table = admit(tmp_path / "b", [parts], "reject", "refused_tasks")
    assert table.to_numpy().tolist() == [["a/validation", 9, "odd"]]


def test_a_model_that_refuses_everything_stops_the_run(tmp_path):
    parts = checked(*[("pool", i, f"s{i}", "chat_template") for i in range(3)])
    with pytest.raises(ValueError, match="Nothing is left of pool"):
        admit(tmp_path / "a", [parts], "reject")
