"""The entry tabulate_subsets: composition and overlap of subsets of the tiny pool."""

import pandas as pd
import pytest
import tabulate_subsets

from vlselect.tables import declarations

SUBSETS = {
    "full/ratio-1.0_seed-0": list(range(24)),
    "random/ratio-0.25_seed-0": [0, 3, 6, 9, 10, 11],
    "icons/ratio-0.25_seed-0": [0, 3, 7, 8, 10, 12],
    "icons/ratio-0.25_seed-1": [1, 2, 3, 4, 5, 6],
}


def test_tables(tiny_pool, tmp_path):
    for name, rows in SUBSETS.items():
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame({"row": rows}).to_parquet(path)
    tabulate_subsets.main(
        [
            *("--samples", str(tiny_pool / "samples.parquet"), "--subsets", str(tmp_path)),
            *("--runs", *SUBSETS, "--out-composition", str(tmp_path / "c.csv")),
            *("--out-overlap", str(tmp_path / "o.csv")),
        ]
    )
    content = declarations.read_table(tmp_path / "c.csv", "subset_composition")
    assert len(content) == 4 * 3
    full = content[content["method"] == "full"]
    assert full["share"].tolist() == pytest.approx(full["pool_share"].tolist())
    random = content[content["method"] == "random"].set_index("source")["n"]
    assert random.to_dict() == {"x": 4, "y": 1, "z": 1}  # sources alternate: x, y, z, x, …
    overlap = declarations.read_table(tmp_path / "o.csv", "subset_overlap")
    assert len(overlap) == 1
    assert overlap.loc[0, "n_common"] == 3
    assert overlap.loc[0, "expected_by_chance"] == pytest.approx(6 * 6 / 24)
    assert overlap.loc[0, "jaccard"] == pytest.approx(3 / 9)
