"""Tables of samples: rows are read back as written, for any row groups."""

import csv
import json
import tracemalloc
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest

from vlselect.core.errors import InputError
from vlselect.pool import samples as module
from vlselect.pool.records import content_digest, parse_record, parse_task_record
from vlselect.pool.samples import SCHEMA, TASK_SCHEMA, RejectionWriter, Samples, SamplesWriter


def raw_record(i: int, **keys) -> str:
    names = [f"f/{i}-{j}.png" for j in range(i % 3)]
    turns = [{"from": "human", "value": "<image>" * len(names) + f"é{i}?"}]
    turns += [{"from": "gpt", "value": f"answer {i}"}, {"from": "human", "value": "?"}] * (i % 2)
    turns += [{"from": "gpt", "value": f"last {i}"}]
    return json.dumps({"z": 1.50, "id": i, "image": names, "conversations": turns} | keys)


def write(path, n=50, **keys):
    raws = [raw_record(i, task=f"t{i % 4}") for i in range(n)]
    with SamplesWriter(path, **keys) as writer:
        for raw in raws:
            writer.write(parse_record(raw, "task"), raw)
    return raws


@pytest.fixture
def groups_of_8(monkeypatch):
    monkeypatch.setattr(module, "ROW_GROUP", 8)


def test_columns(tmp_path, groups_of_8):
    raws = write(tmp_path / "s.parquet", 20)
    samples = Samples(tmp_path / "s.parquet")
    assert len(samples) == samples.n == 20
    frame = samples.frame()
    assert list(frame.columns) == SCHEMA.names
    assert frame["row"].tolist() == list(range(20))
    assert frame["record"].tolist() == raws
    for raw, row in zip(raws, frame.itertuples(), strict=True):
        record = parse_record(raw, "task")
        assert (row.sample_id, row.source) == (record.sample_id, record.source)
        assert tuple(row.images) == record.images and row.n_images == len(record.images)
        assert row.n_turns == 1 + int(record.sample_id) % 2
        assert row.digest == content_digest(record.images, record.turns)
    assert samples.frame(["source", "row"]).columns.tolist() == ["source", "row"]
    with pytest.raises(InputError, match="no column nothing"):
        samples.frame(["nothing"])


@pytest.mark.parametrize("kept", [1, 3, 64])
def test_rows_come_in_the_requested_order(tmp_path, groups_of_8, monkeypatch, kept):
    monkeypatch.setattr(module, "KEPT_GROUPS", kept)
    raws = write(tmp_path / "s.parquet", 50)
    samples = Samples(tmp_path / "s.parquet")
    rng = np.random.default_rng(kept)
    for rows in (range(50), rng.permutation(50), rng.integers(0, 50, 70), [49], []):
        expected = [parse_record(raws[row], "task") for row in rows]
        assert samples.records(rows) == expected
        assert list(samples.raw(rows)) == [raws[row] for row in rows]
    for bad in (-1, 50):
        with pytest.raises(IndexError, match=f"no row {bad}"):
            samples.records([3, bad])


def test_only_the_row_groups_needed_are_read(tmp_path, groups_of_8):
    write(tmp_path / "s.parquet", 50)
    samples = Samples(tmp_path / "s.parquet")
    samples.records([17, 40, 41])
    assert sorted(samples._groups) == [2, 5]


def test_row_groups_are_multiples_of_a_block(tmp_path):
    write(tmp_path / "s.parquet", 1100)
    metadata = pq.ParquetFile(tmp_path / "s.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(2)] == [1024, 76]


def test_the_same_samples_are_the_same_bytes(tmp_path):
    write(tmp_path / "a.parquet")
    write(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_tasks_have_answers_and_may_have_questions_alone(tmp_path):
    turns = [{"from": "human", "value": "Why?"}]
    raw = raw_record(0, conversations=turns, answers=["a", "b"], choices=["A", "B"])
    with SamplesWriter(tmp_path / "t.parquet", TASK_SCHEMA) as writer:
        writer.write(parse_task_record(raw), raw)
        writer.write(parse_task_record(raw_record(1)), raw_record(1))
    samples = Samples(tmp_path / "t.parquet")
    frame = samples.frame()
    assert list(frame.columns) == TASK_SCHEMA.names
    assert [list(a) for a in frame["answers"]] == [["a", "b"], ["last 1"]]
    assert [list(c) for c in frame["choices"]] == [["A", "B"], []]
    assert [turn.role for turn in samples.records([0])[0].turns] == ["user"]


def test_an_error_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), SamplesWriter(tmp_path / "s.parquet") as writer:
        writer.write(parse_record(raw_record(0)), raw_record(0))
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), RejectionWriter(tmp_path / "r.csv"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", [lambda s: s.frame(), lambda s: list(s.raw(range(s.n)))])
def test_a_flipped_bit_is_never_a_record(tmp_path, read):
    path, random = tmp_path / "samples.parquet", Random(0)
    write(path, 20)
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    whole = read(Samples(path))
    for _ in range(150):
        changed = bytearray(content)
        changed[random.randrange(4, footer)] ^= 1 << random.randrange(8)
        path.write_bytes(changed)
        try:
            found = read(Samples(path))
        except InputError as error:
            assert str(path) in str(error)
        else:
            assert str(found) == str(whole)


@pytest.mark.parametrize("length", [0, 3, 100, -1, -100])
def test_a_table_of_another_length_is_refused(tmp_path, length):
    write(tmp_path / "samples.parquet", 20)
    content = (tmp_path / "samples.parquet").read_bytes()
    (tmp_path / "samples.parquet").write_bytes(content[:length])
    with pytest.raises(InputError, match=r"samples\.parquet"):
        Samples(tmp_path / "samples.parquet")


def test_an_empty_table(tmp_path):
    write(tmp_path / "s.parquet", 0)
    samples = Samples(tmp_path / "s.parquet")
    assert len(samples) == 0 and samples.records([]) == [] and samples.frame().empty


def test_rejections_are_read_back_whatever_they_hold(tmp_path):
    lines = [(0, 'a,"b"\nc', "bad_type", "é \ud800"), (1, "", "no_id", "")]
    with RejectionWriter(tmp_path / "r.csv") as writer:
        for line in lines:
            writer.write(*line)
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    assert found[0] == ["position", "sample_id", "reason", "detail"]
    assert found[1:] == [["0", 'a,"b"\nc', "bad_type", "é \\ud800"], ["1", "", "no_id", ""]]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|'/c calc'!A1"])
def test_no_spreadsheet_takes_an_id_for_a_formula(tmp_path, name):
    with RejectionWriter(tmp_path / "r.csv") as writer:
        writer.write(0, name, "bad_type", "detail")
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == ["0", f"'{name}", "bad_type", "detail"]
    assert module.read_ids(tmp_path / "r.csv") == [name]


def test_memory_does_not_grow_with_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROW_GROUP", 64)
    monkeypatch.setattr(module, "KEPT_GROUPS", 2)

    def peak(n):
        tracemalloc.start()
        with SamplesWriter(tmp_path / "s.parquet") as writer:
            for i in range(n):
                raw = raw_record(i, note="x" * 5000)
                writer.write(parse_record(raw), raw)
        samples = Samples(tmp_path / "s.parquet")
        assert sum(1 for row in range(n) for _ in samples.raw([row])) == n
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(1600) - peak(400) < 1e6


def test_records_have_the_values_of_the_table(tmp_path):
    with SamplesWriter(tmp_path / "s.parquet") as writer:
        for part in ("one", "two"):
            raw = raw_record(4, task="t")
            writer.write(parse_record(raw, "task", part=part), raw)
            writer.write(parse_record(raw_record(2), "task", part=part), raw_record(2))
    records = Samples(tmp_path / "s.parquet").records(range(4))
    assert [r.sample_id for r in records] == ["one:4", "one:2", "two:4", "two:2"]
    assert [r.source for r in records] == ["t", "one", "t", "two"]
    assert records[2].images == ("two:f/4-0.png",)
    assert records[3].images == ("two:f/2-0.png", "two:f/2-1.png")


def test_a_csv_file_of_ids_with_a_field_that_is_too_long_is_named(tmp_path):
    (tmp_path / "ids.csv").write_text("sample_id\n" + "x" * 200_000)
    with pytest.raises(InputError, match=r"ids\.csv is not CSV"):
        module.read_ids(tmp_path / "ids.csv")


def test_the_digest_is_of_ids_and_contents_in_order(tmp_path):
    write(tmp_path / "a.parquet", 20)
    write(tmp_path / "b.parquet", 20)
    write(tmp_path / "c.parquet", 21)
    digests = [Samples(tmp_path / f"{name}.parquet").digest for name in "abc"]
    assert digests[0] == digests[1] != digests[2] and len(digests[0]) == 32
