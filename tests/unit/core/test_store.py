"""The shard store: arrays are read back exactly, however they are sharded."""

import json
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from vlselect.core import store
from vlselect.core.errors import InputError, MissingFileError
from vlselect.core.shard_files import BLOCK, shard_rows
from vlselect.core.sources import SCRIPTS
from vlselect.core.store import read_parquet


def write(folder, values, n_shards, **metadata):
    paths = []
    for i in range(1, n_shards + 1):
        rows = shard_rows(len(values), f"{i}-of-{n_shards}")
        path = folder / f"shard-{i}-of-{n_shards}.safetensors"
        header = {"rows": f"{rows.start}:{rows.stop}", **metadata}
        with store.ShardWriter(path, (len(rows), values.shape[1]), values.dtype, header) as writer:
            writer.write(slice(0, len(rows)), values[rows.start : rows.stop])
        paths.append(path)
    return paths


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(333, 7)).astype(np.float16)


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 65, 1000])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_shards_cover_all_rows_once_on_block_boundaries(n_rows, n):
    shards = [shard_rows(n_rows, f"{i}-of-{n}") for i in range(1, n + 1)]
    assert [row for shard in shards for row in shard] == list(range(n_rows))
    assert all(shard.start % BLOCK == 0 or not len(shard) for shard in shards)


@pytest.mark.parametrize("shard", ["0-of-3", "4-of-3", "-1-of-3"])
def test_a_shard_outside_its_count_is_an_error(shard):
    with pytest.raises(ValueError, match="is not one of"):
        shard_rows(10, shard)


@pytest.mark.parametrize("n_shards", [1, 3, 5, 9])
def test_array_reads_the_same_whatever_the_shards(tmp_path, values, n_shards):
    array = store.ShardedArray(write(tmp_path, values, n_shards)[::-1])
    assert array.shape == values.shape and array.dtype == values.dtype
    np.testing.assert_array_equal(array[:], values)
    rows = np.random.default_rng(1).integers(0, len(values), 500)
    np.testing.assert_array_equal(array[rows], values[rows])
    starts, blocks = zip(*array.blocks(100), strict=True)
    assert starts == (0, 100, 200, 300)
    np.testing.assert_array_equal(np.concatenate(blocks), values)


@pytest.mark.parametrize("memory", [0, 14 * 40, 14 * 333, 1 << 30])
@pytest.mark.parametrize("n_shards", [1, 4])
def test_groups_are_their_rows_however_many_are_read_at_once(tmp_path, values, n_shards, memory):
    array = store.ShardedArray(write(tmp_path, values, n_shards))
    order = np.random.default_rng(3).permutation(333)
    members = [order[:0], order[:50], order[50:51], order[51:200], order[200:], order[:3]]
    groups = list(array.groups(iter(members), memory))
    assert len(groups) == len(members) and list(array.groups([], memory)) == []
    for rows, group in zip(members, groups, strict=True):
        np.testing.assert_array_equal(group, values[rows])


def test_groups_are_read_together_as_far_as_memory_allows(tmp_path, values, monkeypatch):
    array = store.ShardedArray(write(tmp_path, values, 1))
    asked, read = [], store.ShardedArray.__getitem__
    monkeypatch.setattr(
        store.ShardedArray, "__getitem__", lambda s, r: asked.append(len(r)) or read(s, r)
    )
    members = np.split(np.arange(333), [100, 150, 220, 300])
    list(array.groups(members, memory=14 * 160))  # a row has 14 bytes
    assert asked == [150, 150, 33]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_what_was_read_does_not_stay_in_memory(tmp_path):
    def resident():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) >> 10

    (path,) = write(tmp_path, np.ones((1 << 13, 1 << 12), np.float32), 1)  # 128 MB
    before = resident()
    array, most = store.ShardedArray([path]), 0
    for _, block in array.blocks(256):  # 4 MB
        assert block[-1, -1] == 1
        most = max(most, resident())
    for group in array.groups(np.arange(1 << 13).reshape(256, -1).T, memory=4 << 20):
        assert group[-1, -1] == 1
        most = max(most, resident())
    assert most - before < 64


def test_a_shard_cut_short_while_in_use_is_an_error(tmp_path, values):
    (path,) = write(tmp_path, values, 1)
    array = store.ShardedArray([path])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short"):
        array[:]


def test_shards_are_safetensors_files_that_others_read(tmp_path, values):
    (path,) = write(tmp_path, values, 1, model="tiny")
    np.testing.assert_array_equal(load_file(path)["values"], values)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert (8 + length) % 64 == 0
    assert json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]["model"] == "tiny"


def test_shards_of_others_are_read(tmp_path, values):
    save_file({"values": values}, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(store.ShardedArray([tmp_path / "a.safetensors"])[:], values)


def test_bytes_do_not_depend_on_the_order_of_writing(tmp_path, values):
    for name, order in (("a", np.arange(333)), ("b", np.random.default_rng(2).permutation(333))):
        with store.ShardWriter(tmp_path / name, values.shape, np.float16, {"k": "v"}) as writer:
            for row in order:
                writer.write(np.array([row]), values[[row]])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_values_that_are_not_finite_name_their_row_and_leave_no_file(tmp_path, values, bad):
    spoilt = values.astype(np.float32)
    spoilt[42, 3] = bad
    with (
        pytest.raises(ValueError, match="row 42 "),
        store.ShardWriter(tmp_path / "a", values.shape, np.float16, {}) as writer,
    ):
        writer.write(slice(0, 333), spoilt)
    assert list(tmp_path.iterdir()) == []


def test_a_row_never_written_is_an_error(tmp_path, values):
    with (
        pytest.raises(ValueError, match="row 10 was never written"),
        store.ShardWriter(tmp_path / "a", values.shape, np.float16, {}) as writer,
    ):
        writer.write(slice(0, 10), values[:10])
    assert list(tmp_path.iterdir()) == []


def test_gaps_and_mixed_widths_are_errors(tmp_path, values):
    paths = write(tmp_path, values, 3)
    with pytest.raises(ValueError, match="expected"):
        store.ShardedArray([paths[0], paths[2]])
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="differs"):
        store.ShardedArray([paths[0], *write(tmp_path / "other", values[:, :3].copy(), 3)[1:]])
    with pytest.raises(IndexError):
        store.ShardedArray(paths)[[333]]


def test_a_truncated_shard_is_an_error(tmp_path, values):
    (path,) = write(tmp_path, values, 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short"):
        store.ShardedArray([path])


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_never_read_as_values(tmp_path, values, seed):
    """Wherever it is in a shard: in a value, in the header, in the header's length."""
    random = Random(seed)
    paths = write(tmp_path, values, 3, model="m", run="a")
    content = paths[1].read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for trial in range(150):
        changed = bytearray(content)
        changed[random.randrange(header if trial % 2 else len(content))] ^= 1 << random.randrange(8)
        paths[1].write_bytes(changed)
        try:
            found = store.ShardedArray(paths)[:]
        except InputError as error:
            assert str(tmp_path) in str(error)
        else:
            np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("row", [0, 63, 64, 110, 332])
def test_a_flipped_bit_of_a_value_names_the_file_and_the_rows(tmp_path, values, row):
    paths = write(tmp_path, values, 2)
    array = store.ShardedArray(paths)
    path = array.path_of(row)
    content = bytearray(path.read_bytes())
    own = row - int(array.metadata[paths.index(path)]["rows"].partition(":")[0])
    content[len(content) - (len(array) - row if path == paths[1] else 192 - own) * 14] ^= 4
    path.write_bytes(content)
    begin = row // 64 * 64
    scattered = np.random.default_rng(row).permutation(len(array))
    groups = [scattered[scattered % 3 == i] for i in range(3)]
    readers = [lambda: array[:], lambda: list(array.blocks(128)), lambda: array[begin:]]
    readers += [lambda: array[scattered], lambda: list(array.groups(groups))]
    readers.append(lambda: array[np.r_[scattered, scattered[:100]]])  # some rows twice
    for read in readers:
        with pytest.raises(InputError, match=rf"{path.name} is broken: its rows {begin} to"):
            read()


@pytest.mark.parametrize("length", [0, 3, 8, 20, 150, -700, -1])
def test_a_shard_of_any_other_length_is_refused(tmp_path, values, length):
    (path,) = write(tmp_path, values, 1)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match="shard-1-of-1"):
        store.ShardedArray([path])


HEADERS = [
    b"[]",
    b"{}",
    b"{",
    b"\xff",
    b'{"values": 3}',
    b'{"values": {"dtype": "F16"}}',
    b"[" * 9999,
]
HEADERS += [
    json.dumps(
        {"__metadata__": m, "values": {"dtype": "U8", "shape": s, "data_offsets": o}}
    ).encode()
    for m, s, o in [
        ({}, [10**30, 1], [0, 4]),
        ({}, [-4], [0, 4]),
        ({}, ["4"], [0, 4]),
        ({}, [4], [4, 0]),
        ({}, [2], [0, 4]),
        ({}, [], [0, 4]),
        ({"rows": "a:b"}, [4], [0, 4]),
        ({"rows": 3}, [4], [0, 4]),
        ({"refused": "["}, [4], [0, 4]),
        ([], [4], [0, 4]),
    ]
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_a_header_that_is_none_names_the_file(tmp_path, header):
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(InputError, match=r"a\.safetensors"):
        _ = store.ShardedArray([path]).refused


@pytest.mark.parametrize("length", [10**8 + 1, 2**28, 2**63])
def test_a_header_that_is_too_long_is_not_read(tmp_path, length):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.truncate(2**28 + 8)  # a hole
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a\.safetensors (has a header of|is cut short)"):
        store.ShardedArray([path])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


def test_a_shard_that_vanishes_is_named(tmp_path, values):
    paths = write(tmp_path, values, 2)
    array = store.ShardedArray(paths)
    paths[1].unlink()
    with pytest.raises(MissingFileError, match="shard-2-of-2"):
        _ = array[:]
    with pytest.raises(MissingFileError, match="shard-2-of-2"):
        store.ShardedArray(paths)


def test_shards_without_checksums_are_read(tmp_path, values):
    """Those of earlier versions, and of other programs."""
    save_file({"values": values}, tmp_path / "a.safetensors", {"rows": "0:333"})
    np.testing.assert_array_equal(store.ShardedArray([tmp_path / "a.safetensors"])[:], values)


@pytest.fixture
def table(tmp_path):
    frame = pd.DataFrame({"row": range(3000), "score": np.random.default_rng(0).normal(size=3000)})
    store.write_parquet(frame, tmp_path / "scores.parquet")
    return frame, tmp_path / "scores.parquet"


@pytest.mark.parametrize("change", ["flip", "cut"])
def test_a_table_that_changed_is_refused_by_its_name(table, change):
    frame, path = table
    content, random = path.read_bytes(), Random(0)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(200):
        changed = bytearray(content)
        place = random.randrange(4, footer)
        if change == "flip":
            changed[place] ^= 1 << random.randrange(8)
        else:
            del changed[random.randrange(len(content)) :]
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"scores\.parquet"):
            pd.testing.assert_frame_equal(read_parquet(path), frame)
            raise InputError(f"{path} is read as it was")  # a bit that says nothing


def test_a_table_that_is_gone_or_lacks_a_column_is_named(table):
    frame, path = table
    assert read_parquet(path, ["score"]).equals(frame[["score"]])
    with pytest.raises(InputError, match=r"scores\.parquet: .*rank"):
        read_parquet(path, ["row", "rank"])
    path.unlink()
    with pytest.raises(MissingFileError, match=r"scores\.parquet"):
        read_parquet(path)


def test_shared_header_values_have_to_agree(tmp_path, values):
    paths = write(tmp_path, values, 2, model="a")
    assert store.ShardedArray(paths).only("model") == "a"
    with pytest.raises(ValueError, match="absent"):
        store.ShardedArray(paths).only("absent")


def test_shards_that_were_made_differently_are_not_one_array(tmp_path, values):
    one = write(tmp_path / "one", values, 2, run="a", code="1", layer="1", instruction="prompt")
    for key, other in {"layer": "2", "instruction": "question"}.items():
        given = {"layer": "1", "instruction": "prompt", key: other}
        two = write(tmp_path / key, values, 2, run="b", code="2", **given)
        with pytest.raises(ValueError, match=f"do not share one '{key}'"):
            store.ShardedArray([one[0], two[1]])
    two = write(tmp_path / "two", values, 2, run="b", code="2", layer="1", instruction="prompt")
    assert store.ShardedArray([one[0], two[1]]).shape == values.shape
    two = write(tmp_path / "less", values, 2, layer="1")
    with pytest.raises(ValueError, match="do not share one 'instruction': .*None"):
        store.ShardedArray([one[0], two[1]])


def test_empty_shards_are_fine(tmp_path, values):
    array = store.ShardedArray(write(tmp_path, values[:10], 3))
    np.testing.assert_array_equal(array[:], values[:10])


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    store.write_text("old", path)
    with pytest.raises(RuntimeError), store.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(path.parent.iterdir())) == 1


def killed_writing(path, how):
    """Let a process be killed while it writes; return what it leaves beside `path`."""
    program = f"""
import os, signal
from pathlib import Path
from vlselect.core import store
with store.{how}(Path({str(path)!r})) as temporary:
    (temporary if {how!r} == "replacing" else temporary / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SCRIPTS)}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    return [entry for entry in path.parent.iterdir() if entry != path]


@pytest.mark.parametrize("how", ["replacing", "replacing_directory"])
def test_the_next_writer_removes_what_a_killed_one_left(tmp_path, how):
    path = tmp_path / "shard[1].safetensors"
    (left,) = killed_writing(path, how)
    kept = [left.with_name(left.name.replace("[1]", "1")), tmp_path / f".{path.name}.mine.tmp"]
    for other in kept:  # of another path, and of other programs
        other.touch()
    left.with_suffix(".old").touch()
    (tmp_path / f".{left.name}.{'0' * 32}.tmp").touch()  # by a writer inside of a writer
    with getattr(store, how)(path) as temporary:
        temporary.touch() if how == "replacing" else (temporary / "part").touch()
    assert sorted(tmp_path.iterdir()) == sorted([*kept, path])


@pytest.mark.parametrize("how", ["replacing", "replacing_directory"])
def test_of_two_writers_the_later_one_writes_and_the_other_says_so(tmp_path, how):
    write = getattr(store, how)
    part = "" if how == "replacing" else "part"
    path = tmp_path / "out"
    with pytest.raises(InputError, match=f"{path}.* another process"), write(path) as first:
        (first / part).write_text("first")
        with write(path) as second:
            (second / part).write_text("second")
    assert (path / part).read_text() == "second" and list(tmp_path.iterdir()) == [path]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError):
        store.write_json({"a": float("nan")}, tmp_path / "a.json")
