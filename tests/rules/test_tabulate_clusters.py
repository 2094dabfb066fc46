"""The entry tabulate_clusters on five clusters."""

import numpy as np
import pandas as pd
import pytest
import tabulate_clusters

from vlselect.tables import declarations

SUMMARY = pd.DataFrame(
    {
        "cluster": [2, 0, 1],
        "size": [1, 3, 2],
        "transferability": [0.3, 0.5, 0.1],
        "density": [0.5, 0.8, 1.0],
    }
)


RUNS = {"coincide/ratio-0.5_seed-0": "0", "coincide/ratio-0.2_seed-1": "1"}


def test_table(tmp_path):
    """Seed 1 numbers the clusters in reverse."""
    (tmp_path / "coincide").mkdir()
    flags = []
    for seed, number in (("0", [0, 1, 2]), ("1", [2, 1, 0])):
        summary = SUMMARY.assign(cluster=[number[i] for i in SUMMARY["cluster"]])
        summary.to_parquet(tmp_path / f"summary-{seed}.parquet")
        clusters = [number[i] for i in (0, 1, 0, 2, 1, 0)]
        assigned = pd.DataFrame({"row": range(6), "cluster": clusters, "distance": 0.0})
        assigned = assigned.sample(frac=1, random_state=0)
        assigned.to_parquet(tmp_path / f"assignments-{seed}.parquet")
        for name in ("summary", "assignments"):
            flags += [f"--{name}", seed, str(tmp_path / f"{name}-{seed}.parquet")]
    for name, rows in zip(RUNS, ([0, 2, 3], [5]), strict=True):
        pd.DataFrame({"row": rows}).to_parquet(tmp_path / f"{name}.parquet")
    tabulate_clusters.main(
        [
            *(*flags, "--temperature", "0.1", "--subsets", str(tmp_path)),
            *("--runs", *RUNS, "--seeds", *RUNS.values()),
            *("--out", str(tmp_path / "clusters.csv")),
        ]
    )
    table = declarations.read_table(tmp_path / "clusters.csv", "clusters")
    assert table["ratio"].tolist() == ["0.5"] * 3 + ["0.2"] * 3
    assert table["seed"].tolist() == ["0"] * 3 + ["1"] * 3
    assert table["cluster"].tolist() == [0, 1, 2] * 2
    assert table["size"].tolist() == [3, 2, 1, 1, 2, 3]
    assert table["allocated"].tolist() == [2, 0, 1, 0, 0, 1]
    weights = np.exp(np.array([0.5 / 0.8, 0.1 / 1.0, 0.3 / 0.5]) / 0.1)
    expected = weights / weights.sum()
    assert table["probability"].to_numpy()[:3] == pytest.approx(expected, rel=1e-5)
    assert table["probability"].to_numpy()[3:] == pytest.approx(expected[::-1], rel=1e-5)
