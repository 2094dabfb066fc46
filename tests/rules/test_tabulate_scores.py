"""The entry tabulate_scores: scores of the tiny pool by source."""

import numpy as np
import pandas as pd
import pytest
import tabulate_scores

from vlselect.tables import declarations

SUBSETS = {
    "el2n/ratio-0.25_seed-0": [0, 3, 6, 9, 10, 11],
    "el2n/ratio-0.25_seed-1": [0, 3, 6, 9, 10, 12],
    "self_sup/ratio-0.25_seed-0": [0, 3, 7, 8, 10, 12],
    "self_sup/ratio-0.25_seed-1": [1, 2, 3, 4, 5, 6],
}


def test_table(tiny_pool, tmp_path):
    for name, rows in SUBSETS.items():
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame({"row": rows}).to_parquet(path)
    flags = []
    for method, seed, sign in (("el2n", "0", 1), ("self_sup", "0", -1), ("self_sup", "1", -2)):
        path = tmp_path / f"{method}-{seed}.parquet"
        rows = np.arange(24)[::-1]  # rows in any order
        pd.DataFrame({"row": rows, "score": (sign * rows).astype(np.float32)}).to_parquet(path)
        flags += ["--scores", method, seed, str(path)]
    tabulate_scores.main(
        [
            *("--samples", str(tiny_pool / "samples.parquet"), *flags),
            *("--subsets", str(tmp_path), "--runs", *SUBSETS),
            *("--seeds", "0", "0", "0", "1", "--out", str(tmp_path / "t.csv")),
        ]
    )
    table = declarations.read_table(tmp_path / "t.csv", "score_distribution")
    assert table["method"].tolist() == ["el2n"] * 3 + ["self_sup"] * 6
    own = table.set_index(["method", "seed", "source"])
    # sources alternate: x has rows 0, 3, …, 21, so its median is 10.5
    assert own.loc[("el2n", "0", "x"), "median"] == 10.5
    assert own.loc[("self_sup", "0", "x"), "median"] == -10.5
    assert own.loc[("self_sup", "1", "x"), "median"] == -21
    # both subsets of el2n are made from the same scores, each of self_sup from its own
    assert own.loc[("el2n", "0", "x"), "chosen"] == pytest.approx((4 / 8 + 5 / 8) / 2)
    assert own.loc[("self_sup", "0", "x"), "chosen"] == pytest.approx(3 / 8)
    assert own.loc[("self_sup", "1", "x"), "chosen"] == pytest.approx(2 / 8)
