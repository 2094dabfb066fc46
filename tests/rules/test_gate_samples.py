"""scripts/gate_samples.py: the table of groups, losses and gated samples."""

import json

import gate_samples
import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from usual_flags import usual

from vlselect.core.errors import InputError

N = 150
HEADER = {"projection": json.dumps({"type": "sjlt"}), "model": "m", "revision": "", "warm_up": "w"}
LOSSES = {"model": "m", "revision": "", "warm_up": "w"}
AXES = {"up": ["up"], "sides": ["left", "right"]}


@pytest.fixture
def pool(tmp_path):
    """Even rows are close to `up`, odd ones to `right`; losses repeat."""
    rng = np.random.default_rng(0)
    ids = [f"s{i:03}" for i in rng.permutation(N)]
    table = pd.DataFrame({"row": range(N), "sample_id": ids, "source": ["x", "y", "y"] * 50})
    table.assign(n_images=1).to_parquet(tmp_path / "samples.parquet")
    values = 0.1 * rng.normal(size=(N, 4))
    values[::2, 0] += 1
    values[1::2, 1] += 1
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    for name, axis in (("up", 0), ("left", 2), ("right", 1)):
        rows = np.zeros((6, 4), np.float16)
        rows[:, axis] = 1
        write_shards(tmp_path / name, rows, **HEADER)
    losses = rng.integers(0, 20, N).astype(np.float32) / 4
    return table.assign(loss=losses), values.astype(np.float16)


def run(folder, pool, share="0.2", shards=2, refused=((), ()), origin=LOSSES, sets=True):
    """Write the shards anew and gate; rows of losses and of gradients are refused."""
    table, values = pool
    losses = write_shards(folder / "losses", table["loss"].to_numpy(), shards, refused[0], **origin)
    gradients = write_shards(folder / "pool", values, shards, refused[1], **HEADER)
    flags = ["--samples", folder / "samples.parquet", "--losses", *losses, "--share", share]
    if sets:
        names = ["up", "left", "right"]
        files = [folder / name / "shard-1-of-1.safetensors" for name in names]
        flags += ["--pool", *gradients, "--sets", *names, "--validation", *files]
        flags += ["--tasks", json.dumps(AXES)]
    flags += ["--out", folder / "gate.parquet"]
    gate_samples.main([*usual(gate_samples), *map(str, flags)])
    return pd.read_parquet(folder / "gate.parquet")


def expected(table, groups, share):
    """Gate by sorting each group as a list."""
    rows = []
    for group in set(groups) - {""}:
        own = [i for i in range(N) if groups[i] == group]
        own.sort(key=lambda i: (-table["loss"][i], table["sample_id"][i]))
        rows += own[: int(share * len(own) + 0.5)]
    return sorted(rows)


def test_groups_losses_and_the_highest_of_each(tmp_path, pool):
    found = run(tmp_path, pool)
    assert list(found.columns) == ["row", "sample_id", "group", "loss", "gated"]
    assert found["group"].tolist() == ["up", "sides"] * 75
    assert found["row"].tolist() == list(range(N)) and "refused" not in found.attrs
    assert found["sample_id"].tolist() == pool[0]["sample_id"].tolist()
    assert found["loss"].dtype == np.float32 and found["loss"].tolist() == pool[0]["loss"].tolist()
    rows = found.index[found["gated"]].tolist()
    assert rows == expected(pool[0], found["group"], 0.2) and len(rows) == 30
    pd.testing.assert_frame_equal(run(tmp_path, pool, shards=3), found)


def test_without_validation_gradients_the_groups_are_the_sources(tmp_path, pool, capsys):
    found = run(tmp_path, pool, share="0.1", sets=False)
    assert found["group"].tolist() == pool[0]["source"].tolist()
    rows = found.index[found["gated"]].tolist()
    assert rows == expected(pool[0], found["group"], 0.1) and len(rows) == 15
    said = capsys.readouterr().err
    assert "the groups are the sources" in said and "x: 50 samples, 5 gated, their losses" in said


def test_refused_samples_are_in_no_group_and_not_gated(tmp_path, pool):
    refused = [0, 63, 64, 149]
    found = run(tmp_path, pool, refused=(refused[:2], refused[1:]))
    assert found.attrs["refused"] == refused
    assert (found["group"][refused] == "").all() and found["loss"][refused].isna().all()
    assert not found["gated"][refused].any()
    table = pool[0].copy()
    assert found.index[found["gated"]].tolist() == expected(table, found["group"], 0.2)
    pd.testing.assert_frame_equal(found, run(tmp_path, pool, refused=(refused, ()), shards=3))


def test_what_does_not_fit_is_refused(tmp_path, pool):
    with pytest.raises(InputError, match="gradients and losses differ in 'warm_up'"):
        run(tmp_path, pool, origin=LOSSES | {"warm_up": "another"})
    with pytest.raises(InputError, match="149 rows for a pool of 150 samples"):
        run(tmp_path, (pool[0].iloc[1:], pool[1]), sets=False)
    with pytest.raises(InputError, match="149 rows for a pool of 150 samples"):
        run(tmp_path, (pool[0], pool[1][1:]))
