"""Compressed files: read as streams, refused where they are broken; what is no text is named."""

import gzip
import io
import json
import os
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from vlselect.core import json_stream
from vlselect.core.errors import InputError
from vlselect.core.json_stream import RecordsFileError, read_records

RECORDS = [{"id": i, "value": "é漢😀" * (i % 7)} for i in range(300)]
LIST = json.dumps(RECORDS, ensure_ascii=False, indent=1).encode()
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


PACKERS = {"gz": gzip.compress, "zst": zstd}


def values(path):
    return [json.loads(raw) for _, raw in read_records(path)]


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("content", [LIST, LINES, b"\xef\xbb\xbf \n" + LINES], ids=list("lxb"))
def test_compressed_records_are_the_records(tmp_path, monkeypatch, content, pack, chunk):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    assert values(write(tmp_path / "any name", pack(content))) == RECORDS


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_pieces_that_were_packed_one_by_one(tmp_path, pack):
    """As `cat a.gz b.gz` and parallel programs write them."""
    half = len(LINES) // 2
    content = pack(LINES[:half]) + pack(b"") + pack(LINES[half:])
    assert values(write(tmp_path / "x", content)) == RECORDS


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_broken_and_cut_off_data_name_the_file(tmp_path, pack):
    noise = np.random.default_rng(0).bytes(60_000).hex()
    packed = pack(json.dumps([{"id": noise}]).encode())
    for content in (packed[:20], packed[: len(packed) // 2], packed[:-3]):
        with pytest.raises(InputError, match=r"x\.json\.gz: its .* data are broken or cut off"):
            values(write(tmp_path / "x.json.gz", content))
    if pack is gzip.compress:  # zstd need not write checksums
        flipped = packed[:-8] + bytes([packed[-8] ^ 255]) + packed[-7:]
        with pytest.raises(InputError, match="gzip data are broken or cut off: CRC"):
            values(write(tmp_path / "x.json.gz", flipped))


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_broken_record_is_reported_with_its_byte_in_the_text(tmp_path, pack):
    broken = LIST[:-2] + b", oops]"
    with pytest.raises(RecordsFileError) as caught:
        values(write(tmp_path / "x", pack(broken)))
    assert caught.value.position == broken.index(b"oops")


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("start", [b"[", b'{"a": "', b" "], ids=["list", "line", "space"])
def test_a_bomb_does_not_fill_the_memory(tmp_path, monkeypatch, pack, start):
    monkeypatch.setattr(json_stream, "LONGEST", 1 << 20)
    filling = b"x" if start.endswith(b'"') else b" "
    packed = pack(start + filling * (64 << 20))
    assert len(packed) < 100_000
    path = write(tmp_path / "bomb", packed)
    del packed
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(RecordsFileError):
        values(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12 << 20 and pa.total_allocated_bytes() - before < 12 << 20


def tar(content):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("x.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zipped(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.json", content)
    return stream.getvalue()


TEXT = LIST.decode()
OTHERS = {
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16 or UTF-32 text; convert it: iconv": TEXT.encode("utf-16-be"),
    "UTF-16 or UTF-32 text": TEXT.encode("utf-16-le"),
    "or UTF-32": TEXT.encode("utf-32"),
    "a zip archive; unpack it": zipped(LIST),
    "a tar archive": tar(LIST),
    "a tar archive; unpack it": gzip.compress(tar(LIST)),
    "its name has to end in .parquet": b"PAR1" + bytes(100),
    "bzip2": b"BZh91AY&SY" + bytes(100),
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "a web page": b"<!DOCTYPE html><html></html>",
    "a web page or XML": b"\r\n  <!doctype html>\n<html></html>",
}


@pytest.mark.parametrize("message", OTHERS)
def test_what_is_no_text_is_named_with_what_to_do(tmp_path, message):
    path = write(tmp_path / "r.json", OTHERS[message])
    with pytest.raises(InputError, match=rf"r\.json is .*{message}"):
        values(path)


def test_one_object_in_place_of_a_list(tmp_path):
    path = write(tmp_path / "r.json", json.dumps({"data": RECORDS}, indent=1).encode())
    with pytest.raises(RecordsFileError, match="one JSON object, write the list of its records"):
        values(path)


def test_a_pipe_or_a_device_is_no_file_of_records(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", "/dev/zero", tmp_path):
        with pytest.raises(InputError, match="is no plain file"):
            values(path)
