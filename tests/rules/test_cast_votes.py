"""The entry cast_votes on tiny influences."""

import cast_votes
import numpy as np
import pandas as pd
import pytest

from vlselect.gradients import voting


def write_influence(folder, table, tasks):
    folder.mkdir(exist_ok=True)
    for task, column in zip(tasks, table.T, strict=True):
        frame = pd.DataFrame({"row": np.arange(len(column)), "influence": column})
        frame.to_parquet(folder / f"{task}.parquet", index=False)
    return [str(folder / f"{task}.parquet") for task in tasks]


def test_votes_are_counted_and_ranks_averaged(tmp_path):
    table = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    paths = write_influence(tmp_path / "influence", table, ["b", "a", "c"])
    out = tmp_path / "votes.parquet"
    cast_votes.main(["--influence", *paths, "--top-percent", "30", "--out", str(out)])
    votes = pd.read_parquet(out)
    assert list(votes.columns) == ["row", "b", "a", "c", "votes", "mean_rank"]
    assert votes.dtypes.map(str).tolist() == ["int64", *["uint8"] * 3, "uint16", "float64"]
    expected = table >= np.percentile(table.astype(np.float64), 70, axis=0)
    assert np.array_equal(votes[["b", "a", "c"]], expected)
    assert votes["votes"].tolist() == expected.sum(axis=1).tolist()
    assert votes["mean_rank"].tolist() == voting.mean_rank(table).tolist()


def test_bad_influences_are_refused(tmp_path):
    out = "--top-percent", "20", "--out", str(tmp_path / "votes.parquet")
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    paths = write_influence(tmp_path / "a", table, ["x", "votes"])
    with pytest.raises(ValueError, match="votes"):
        cast_votes.main(["--influence", *paths, *out])
    shorter = write_influence(tmp_path / "b", table[:2, :1], ["y"])
    with pytest.raises(ValueError, match=r"y\.parquet does not hold rows 0 to 2"):
        cast_votes.main(["--influence", paths[0], *shorter, *out])
    constant = write_influence(tmp_path / "c", np.zeros((3, 1), np.float32), ["z"])
    with pytest.raises(ValueError, match=r"influence on z is 0\.0 for every sample"):
        cast_votes.main(["--influence", *constant, *out])
    assert not (tmp_path / "votes.parquet").exists()
