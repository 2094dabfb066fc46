"""Signals by name."""

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from tiny_inputs import make_records, prepare

from vlselect.core import store
from vlselect.core.errors import InputError
from vlselect.subsets import signals


@pytest.fixture
def files(tmp_path):
    for name in ("a", "b"):
        pd.DataFrame({"row": range(3), "x": [1, 2, 3]}).to_parquet(tmp_path / f"{name}.parquet")
    pd.DataFrame({"cluster": range(2)}).to_parquet(tmp_path / "summary.parquet")
    for start, stop in ((0, 2), (2, 3)):
        path, header = tmp_path / f"{start}.safetensors", {"rows": f"{start}:{stop}"}
        with store.ShardWriter(path, (stop - start, 2), np.float32, header) as writer:
            writer.write(slice(None), np.full((stop - start, 2), start))
    return lambda *names: [str(tmp_path / name) for name in names]


def test_signals_by_format(files):
    single = [["table", *files("a.parquet")], ["free", *files("summary.parquet")]]
    single += [["array", *files("2.safetensors", "0.safetensors")], ["absent"]]
    several = [["tasks", *files("b.parquet", "a.parquet")], ["none"]]
    found = signals.read_signals(single, several, 3)
    assert list(found) == ["table", "free", "array", "tasks"]
    assert found["table"]["x"].tolist() == [1, 2, 3]
    assert found["free"]["cluster"].tolist() == [0, 1]
    assert found["array"].shape == (3, 2)
    assert list(found["tasks"]) == ["b", "a"]


def test_samples_of_tasks_say_how_many_images_they_have(tmp_path):
    records = make_records(5)  # 1, 1, 0, 1 and 2 images
    given = {"vqa": records, "mme": records[2:]}
    paths = [str(prepare(tmp_path / name, given[name]) / "samples.parquet") for name in given]
    found = signals.read_signals([], [], 7, [["questions", *paths], ["none"]])
    counts = {name: table["n_images"].tolist() for name, table in found["questions"].items()}
    assert list(found) == ["questions"] and counts == {"vqa": [1, 1, 0, 1, 2], "mme": [0, 1, 2]}
    with pytest.raises(ValueError, match="signal 'vqa' is given twice"):
        signals.read_signals([], [], 7, [["questions", paths[0], paths[0]]])


def test_mixed_formats_and_foreign_rows_are_refused(files):
    with pytest.raises(ValueError, match="'s' must be one .parquet file or .safetensors shards"):
        signals.read_signals([["s", *files("a.parquet", "0.safetensors")]], [], 3)
    with pytest.raises(ValueError, match=r"a\.parquet are not those of the pool of 4 samples"):
        signals.read_signals([["s", *files("a.parquet")]], [], 4)


def test_part_of_the_pool_is_numbered_anew(tmp_path):
    path, header = tmp_path / "a.safetensors", {"rows": "0:6", "columns": '["x"]'}
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    with store.ShardWriter(path, (6, 2), np.float32, header) as writer:
        writer.write(slice(None), values)
    graph = {"row": range(6), "neighbour_1": [1, 0, 5, 4, 3, 2], "squared_1": 0.5}
    given = {
        "array": store.ShardedArray([path]),
        "graph": pd.DataFrame(graph),
        "tasks": {"t": pd.DataFrame({"row": range(6), "influence": range(6)})},
        "assignments": pd.DataFrame({"row": range(6), "cluster": [2, 0, 2, 0, 2, 2]}),
        "summary": pd.DataFrame({"cluster": [2, 1, 0], "size": [4, 0, 2], "density": 1.0}),
    }
    pool = pd.DataFrame({"row": range(6), "sample_id": list("abcdef")})
    rows = np.array([0, 1, 2, 4])
    part, cut = signals.restrict(pool, given, rows)
    assert part["sample_id"].tolist() == list("abce") and part["row"].tolist() == [0, 1, 2, 3]
    array = cut["array"]
    assert array.shape == (4, 2) and len(array) == 4 and array.only("columns") == '["x"]'
    np.testing.assert_array_equal(array[:], values[rows])
    np.testing.assert_array_equal(array[[3, 0]], values[[4, 0]])
    np.testing.assert_array_equal(np.concatenate([b for _, b in array.blocks(3)]), values[rows])
    groups = array.groups([np.array([1, 3]), np.array([2])])
    np.testing.assert_array_equal(np.concatenate(list(groups)), values[[1, 4, 2]])
    with pytest.raises(IndexError, match="outside 0:4"):
        array[[4]]
    assert cut["graph"]["neighbour_1"].tolist() == [1, 0, 2, 3]  # themselves where left out
    assert cut["graph"]["squared_1"].tolist() == [0.5, 0.5, 0, 0]
    assert cut["tasks"]["t"]["influence"].tolist() == [0, 1, 2, 4]
    assert cut["summary"]["size"].tolist() == [3, 0, 1]
    assert given["summary"]["size"].tolist() == [4, 0, 2]


def test_an_array_that_lacks_rows_of_the_pool_is_named(tmp_path):
    """Its last shard is missing, say: what is there has no gap."""
    paths = write_shards(tmp_path, np.zeros((200, 3), np.float32), 3)[1:]
    with pytest.raises(InputError, match=rf"{tmp_path.name}.*holds 128 rows.* 200 samples"):
        signals.read_signals([("features", *map(str, paths))], [], 200)
