"""Reading records: the same values as the json module, exact byte positions, constant memory."""

import codecs
import json
import random
import tracemalloc

import pytest

from vlselect.core import json_stream
from vlselect.core.json_stream import RecordsFileError, read_records

TEXTS = ["", "plain", 'quote " and \\', "line\nbreak\t", "é→漢😀", "[{]},:", "\u2028", " " * 9]


def make_value(rng: random.Random, depth: int = 3):
    if depth == 0 or rng.random() < 0.4:
        options = [rng.choice(TEXTS), rng.randrange(-(10**30), 10**30), rng.random(), True, None]
        return rng.choice([*options, 1.5e300, 0, -7, "<image>"])
    if rng.random() < 0.5:
        return [make_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(TEXTS) + str(i): make_value(rng, depth - 1) for i in range(rng.randrange(4))}


def write(path, content: bytes | str):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(path):
    return [json.loads(raw) for _, raw in read_records(path)]


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_list_gives_what_json_gives(tmp_path, monkeypatch, chunk, indent, ascii_only):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    rng = random.Random(chunk)
    expected = [make_value(rng) for _ in range(40)]
    text = json.dumps(expected, indent=indent, ensure_ascii=ascii_only)
    found = list(read_records(write(tmp_path / "a", text)))
    assert [position for position, _ in found] == list(range(40))
    assert [json.loads(raw) for _, raw in found] == expected
    assert not any("\n" in raw for _, raw in found)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n \t\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_give_what_json_gives(tmp_path, end, last):
    rng = random.Random(5)
    expected = [{"a": make_value(rng)} for _ in range(30)]
    text = end.join(json.dumps(value, ensure_ascii=False) for value in expected) + end * last
    assert values(write(tmp_path / "a.json", text)) == expected


def test_numbers_escapes_and_key_order_stay_as_they_came(tmp_path):
    texts = ['{"b": 1.50, "a": 1E2, "b": -0}', r'{"a": "\u00e9\ud83d\/\ud800"}', "1" * 5000]
    content = "[\n" + ",\n".join(texts) + "]"
    assert [raw for _, raw in read_records(write(tmp_path / "a", content))] == texts


@pytest.mark.parametrize("content", ["[]", " \n[ \n ] \n"])
def test_an_empty_list_has_no_records(tmp_path, content):
    assert values(write(tmp_path / "a", content)) == []


def test_a_byte_order_mark_is_skipped(tmp_path):
    assert values(write(tmp_path / "a", codecs.BOM_UTF8 + b'[{"a": 1}]')) == [{"a": 1}]
    lines = codecs.BOM_UTF8 + b'{"a": 1}\n{"a": 2}'
    assert values(write(tmp_path / "b", lines)) == [{"a": 1}, {"a": 2}]


FIRST = '[{"id": "é漢😀"}, '
BROKEN = {  # content of the file, and its text up to the byte of the error
    "no value": (FIRST + "{'a': 1}]", FIRST + "{"),
    "comma twice": (FIRST + '{"a": 1,, "b": 2}]', FIRST + '{"a": 1,'),
    "no comma": ('[{"a": 1} {"a": 2}]', '[{"a": 1} '),
    "comma at the end": ('["é", ]', '["é", '),
    "word": (FIRST + "nothing, 1]", FIRST),
    "line break in a text": (FIRST + '{"a": "x\n"}]', FIRST + '{"a": "x'),
    "cut off between records": (FIRST, FIRST),
    "cut off after a record": ('[{"a": "é"}', '[{"a": "é"}'),
    "cut off in a record": (FIRST + '{"a": [1, 2', FIRST + '{"a": [1, 2'),
    "cut off in a text": (FIRST + '{"a": "xyz', FIRST + '{"a": '),
    "something after": ('[{"a": "é"}]\n x', '[{"a": "é"}]\n '),
    "nothing": ("", ""),
    "only space": (" \n\n ", " \n\n "),
    "plain text": ("  id,conversation\n1,2\n", "  "),
    "number": ("12", ""),
    "object over lines": ('{\n "a": [\n  {"id": 1}\n ]\n}', "{"),
    "one broken line": ('{"é": 1,,}\n', '{"é": 1,'),
    "closed by the wrong bracket": ("[1, 2}", "[1, 2"),
}


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_reported_with_its_byte(tmp_path, monkeypatch, case, chunk):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    content, before = BROKEN[case]
    path = write(tmp_path / "mixture.json", content)
    with pytest.raises(RecordsFileError) as caught:
        list(read_records(path))
    assert caught.value.position == len(before.encode())
    assert str(path) in str(caught.value) and f"byte {caught.value.position}" in str(caught.value)


@pytest.mark.parametrize("chunk", [1, 3, 4096])
def test_positions_hold_far_into_a_file_and_after_a_mark(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    good = ", ".join(json.dumps({"id": f"é{i}"}, ensure_ascii=False) for i in range(300))
    start = codecs.BOM_UTF8 + f"[{good}, ".encode()
    read = []
    with pytest.raises(RecordsFileError) as caught:
        read.extend(read_records(write(tmp_path / "a", start + b'{"id": tru}]')))
    assert caught.value.position == len(start) + len(b'{"id": ')
    assert len(read) == 300


@pytest.mark.parametrize("chunk", [1, 3, 4096])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x98"])
def test_bytes_that_are_not_utf8_are_reported(tmp_path, monkeypatch, chunk, bad):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    start = FIRST.encode() + b'{"a": "'
    with pytest.raises(RecordsFileError, match="not UTF-8; .*iconv -f LATIN1") as caught:
        list(read_records(write(tmp_path / "a", start + bad + b'"}]')))
    assert caught.value.position == len(start)


def test_a_broken_line_is_left_to_the_reader_of_the_record(tmp_path):
    lines = [b'{"a": 1}', b'{"a": ', b"[2]", b'{"a": "\xff"}', b'{"a": 3}']
    found = [raw for _, raw in read_records(write(tmp_path / "a.jsonl", b"\n".join(lines)))]
    assert found[1:3] == ['{"a":', "[2]"]
    assert found[3] == '{"a": "\udcff"}'
    assert found[4] == '{"a": 3}'


def test_the_first_line_may_be_the_broken_one(tmp_path):
    found = list(read_records(write(tmp_path / "a", b'{"a": \n{"a": 1}\n')))
    assert found == [(0, '{"a":'), (1, '{"a": 1}')]


def test_deep_nesting_is_a_broken_file(tmp_path):
    with pytest.raises(RecordsFileError, match="nested too deeply"):
        list(read_records(write(tmp_path / "a", "[" * 200_000)))
    with pytest.raises(RecordsFileError, match="nested too deeply"):
        list(read_records(write(tmp_path / "b", '{"a": ' + "[" * 200_000)))


@pytest.mark.parametrize("content", ['[{"a": "' + "x" * 500 + '"}]', '{"a": "' + "x" * 500 + '"}'])
def test_a_record_of_unbounded_length_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.setattr(json_stream, "LONGEST", 100)
    monkeypatch.setattr(json_stream, "CHUNK", 16)
    with pytest.raises(RecordsFileError, match="100"):
        list(read_records(write(tmp_path / "a", content)))


def test_a_list_may_stand_on_one_line_of_any_length(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "LONGEST", 100)
    monkeypatch.setattr(json_stream, "CHUNK", 16)
    expected = [{"a": "x" * 50}] * 50
    assert values(write(tmp_path / "a", json.dumps(expected))) == expected


@pytest.mark.parametrize("lines", [False, True])
def test_memory_does_not_grow_with_the_file(tmp_path, lines):
    record = json.dumps({"id": "x", "conversations": [{"from": "human", "value": "y" * 2000}] * 4})
    path = tmp_path / "mixture"
    with path.open("w") as file:
        file.write("" if lines else "[")
        file.write(("\n" if lines else ",").join([record] * 4000))
        file.write("" if lines else "]")
    assert path.stat().st_size > 30e6
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_records(path)) == 4000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8e6
