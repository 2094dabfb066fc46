"""The entry tabulate_clusters on five clusters."""

import numpy as np
import pandas as pd
import pytest
import tabulate_clusters

from vlselect import tables

SUMMARY = pd.DataFrame(
    {
        "cluster": [2, 0, 1],
        "size": [1, 3, 2],
        "transferability": [0.3, 0.5, 0.1],
        "density": [0.5, 0.8, 1.0],
    }
)


def test_table(tmp_path):
    SUMMARY.to_parquet(tmp_path / "summary.parquet")
    assigned = pd.DataFrame({"row": range(6), "cluster": [0, 1, 0, 2, 1, 0], "distance": 0.0})
    assigned.sample(frac=1, random_state=0).to_parquet(tmp_path / "assignments.parquet")
    (tmp_path / "coincide").mkdir()
    for ratio, rows in (("0.5", [0, 2, 3]), ("0.2", [5])):
        path = tmp_path / f"coincide/ratio-{ratio}_seed-0.parquet"
        pd.DataFrame({"row": rows}).to_parquet(path)
    tabulate_clusters.main(
        [
            *("--assignments", str(tmp_path / "assignments.parquet")),
            *("--summary", str(tmp_path / "summary.parquet"), "--temperature", "0.1"),
            *("--subsets", str(tmp_path), "--out", str(tmp_path / "clusters.csv")),
            *("--runs", "coincide/ratio-0.5_seed-0", "coincide/ratio-0.2_seed-0"),
        ]
    )
    table = tables.read_table(tmp_path / "clusters.csv", "clusters")
    assert table["ratio"].tolist() == ["0.5"] * 3 + ["0.2"] * 3
    assert table["cluster"].tolist() == [0, 1, 2] * 2
    assert table["size"].tolist() == [3, 2, 1] * 2
    assert table["allocated"].tolist() == [2, 0, 1, 1, 0, 0]
    weights = np.exp(np.array([0.5 / 0.8, 0.1 / 1.0, 0.3 / 0.5]) / 0.1)
    expected = weights / weights.sum()
    assert table["probability"].to_numpy()[:3] == pytest.approx(expected, rel=1e-5)
