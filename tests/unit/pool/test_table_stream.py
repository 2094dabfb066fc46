"""Rows as JSON: the same from Parquet and Arrow, for any pieces; bytes are left out."""

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from special_files import KINDS, special, within

from vlselect.core.arrow_files import count_rows
from vlselect.core.errors import InputError
from vlselect.pool import table_stream
from vlselect.pool.row_bytes import RowBytes
from vlselect.pool.table_stream import read_rows

ROWS = [
    {
        "id": f"é{i}",
        "n": i,
        "x": i / 3,
        "none": None,
        "turns": [{"from": "human", "value": "“漢”"}, {"from": "gpt", "value": None}],
        "image": {"bytes": bytes([i]) * 9 if i % 3 else None, "path": f"{i}.png"},
        "raw": b"\xff\xd8\xff" + bytes([i]) if i % 2 else None,
    }
    for i in range(50)
]
TABLE = pa.Table.from_pylist(ROWS)


def write(path, kind):
    if kind == "parquet":
        pq.write_table(TABLE, path.with_suffix(".parquet"), row_group_size=7)
        return path.with_suffix(".parquet")
    path = path.with_suffix(".arrow")
    make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with make(path, TABLE.schema) as file:
        file.write_table(TABLE, max_chunksize=11)
    return path


@pytest.mark.parametrize("piece", [1, 3, 32])
@pytest.mark.parametrize("kind", ["parquet", "stream", "file"])
def test_rows_are_json_without_bytes(tmp_path, monkeypatch, kind, piece):
    monkeypatch.setattr(table_stream, "PIECE", piece)
    found = list(read_rows([write(tmp_path / "a", kind), write(tmp_path / "b", kind)]))
    assert [row for row, _ in found] == list(range(100))
    for (row, raw), expected in zip(found, ROWS * 2, strict=True):
        value = json.loads(raw)
        others = ("id", "n", "x", "none", "turns")
        assert {key: value[key] for key in others} == {key: expected[key] for key in others}
        number = 0
        if expected["image"]["bytes"]:
            assert value["image"].pop("bytes").startswith(f"row-{row}/0/")
            assert value["image"] == {"path": expected["image"]["path"]}
            number = 1
        else:
            assert value["image"] == expected["image"]
        if expected["raw"]:
            assert value["raw"]["bytes"].startswith(f"row-{row}/{number}/")
            assert value["raw"]["bytes"].endswith(".jpg")


def test_bytes_may_be_dropped(tmp_path):
    path = write(tmp_path / "a", "parquet")
    for (_, raw), expected in zip(read_rows([path], embedded=False), ROWS, strict=True):
        assert json.loads(raw)["image"] == {"bytes": None, "path": expected["image"]["path"]}


def test_types_that_json_lacks_become_text(tmp_path):
    row = {"day": datetime.date(2024, 5, 1), "price": decimal.Decimal("1.50")}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    [(_, raw)] = read_rows([tmp_path / "a.parquet"])
    assert json.loads(raw) == {"day": "2024-05-01", "price": "1.50"}


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_broken_tables_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=name):
        list(read_rows([tmp_path / name]))
    with pytest.raises(ValueError, match="none"):
        list(read_rows([tmp_path / "none.parquet"]))


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_a_table_that_was_not_fetched_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")
    for read in (lambda: list(read_rows([path])), lambda: RowBytes([path])):
        with pytest.raises(InputError, match=rf"{name} is a pointer of Git LFS.*git lfs pull"):
            read()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_a_pipe_or_a_device_is_no_table(tmp_path, name, kind):
    with special(tmp_path / name, kind) as path:
        readers = [lambda: list(read_rows([path])), lambda: RowBytes([path])]
        for read in [*readers, lambda: count_rows(path)]:
            with pytest.raises(InputError, match=rf"{name} is no plain file"):
                within(5, read)


def test_a_table_cut_short_is_an_error(tmp_path):
    path = write(tmp_path / "a", "stream")
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(ValueError, match=r"a\.arrow"):
        list(read_rows([path]))


def not_unicode():
    """Return a column of texts whose second one is not UTF-8, as other writers let pass."""
    offsets = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 1, 2)))
    return pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"a\xff")])


UNREADABLE = {
    "not UTF-8": not_unicode(),
    "no date": pa.array([0, 2**62]).cast(pa.timestamp("us")),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_values_that_cannot_be_read_name_their_file(tmp_path, what):
    path = tmp_path / "a.arrow"
    table = pa.table({"x": UNREADABLE[what]})
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)
    with pytest.raises(InputError, match=r"a\.arrow: "):
        list(read_rows([path]))


def test_a_long_text_that_a_table_holds_once_fills_no_memory(tmp_path):
    """As Parquet's dictionaries do: 5 kB on disk, and once 4 GiB for a piece of 1,024 rows."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), ["x" * (1 << 20)])
    options = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 30, "store_schema": False}
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet", **options)
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    before = pa.total_allocated_bytes()
    for _ in zip(range(3), rows := read_rows([tmp_path / "a.parquet"]), strict=False):
        assert pa.total_allocated_bytes() - before < 200 << 20
    rows.close()
