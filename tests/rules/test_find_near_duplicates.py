"""scripts/find_near_duplicates.py: from shards and sample ids to pairs of rows."""

import find_near_duplicates
import numpy as np
import pandas as pd
from array_files import write_shards
from closeness import assert_close_sums
from feature_files import blobs, make_pool
from usual_flags import usual


def test_pairs_are_rows_of_the_pool(tmp_path):
    values, pool = blobs(90, copies=5), make_pool(90)
    pool.to_parquet(tmp_path / "samples.parquet")
    features = write_shards(tmp_path, values, shards=2)
    flags = ["--samples", tmp_path / "samples.parquet", "--features", *features]
    find_near_duplicates.main(
        [
            *usual(find_near_duplicates),
            *(*map(str, flags), "--cosine", "0.97"),
            *("--out", str(tmp_path / "duplicates.parquet")),
        ]
    )
    table = pd.read_parquet(tmp_path / "duplicates.parquet")
    exact = values.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    expected = np.argwhere(np.triu(exact @ exact.T >= 0.97 - 1e-6, 1))
    assert len(expected) >= 5
    np.testing.assert_array_equal(table[["row_a", "row_b"]], expected)
    cosines = (exact @ exact.T)[tuple(expected.T)]
    assert_close_sums(table["cosine"], cosines, terms=12, scale=1)
    assert table.attrs == {"cosine": 0.97, "recall": 1.0}
