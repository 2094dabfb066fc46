"""Signals and methods, found by name."""

import numpy as np
import pandas as pd
import pytest

from vlselect import signals, store


@pytest.fixture
def files(tmp_path):
    for name in ("a", "b"):
        pd.DataFrame({"row": range(3), "x": [1, 2, 3]}).to_parquet(tmp_path / f"{name}.parquet")
    pd.DataFrame({"cluster": range(2)}).to_parquet(tmp_path / "summary.parquet")
    for start in (0, 64):
        path, header = tmp_path / f"{start}.safetensors", {"rows": f"{start}:{start + 64}"}
        with store.ShardWriter(path, (64, 2), np.float32, header) as writer:
            writer.write(slice(None), np.full((64, 2), start))
    return lambda *names: [str(tmp_path / name) for name in names]


def test_signals_by_format(files):
    single = [["table", *files("a.parquet")], ["free", *files("summary.parquet")]]
    single += [["array", *files("64.safetensors", "0.safetensors")], ["absent"]]
    several = [["tasks", *files("b.parquet", "a.parquet")], ["none"]]
    found = signals.read_signals(single, several, 3)
    assert list(found) == ["table", "free", "array", "tasks"]
    assert found["table"]["x"].tolist() == [1, 2, 3]
    assert found["free"]["cluster"].tolist() == [0, 1]
    assert found["array"].shape == (128, 2)
    assert list(found["tasks"]) == ["b", "a"]


def test_mixed_formats_and_foreign_rows_are_refused(files):
    with pytest.raises(ValueError, match="'s' must be one .parquet file or .safetensors shards"):
        signals.read_signals([["s", *files("a.parquet", "0.safetensors")]], [], 3)
    with pytest.raises(ValueError, match=r"a\.parquet are not those of the pool of 4 samples"):
        signals.read_signals([["s", *files("a.parquet")]], [], 4)


def test_methods_by_name():
    assert signals.load_method("random").__name__ == "vlselect.methods.random"
    for name in ("nonsense", "os.path", "../random", ""):
        with pytest.raises(ValueError, match="no method"):
            signals.load_method(name)
