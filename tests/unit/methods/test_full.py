"""The method `full`."""

import pandas as pd
import pytest

from vlselect.methods import full

POOL = pd.DataFrame({"row": range(4), "sample_id": list("dbca")})


def test_full_takes_everything_in_pool_order():
    assert full.select(POOL, {}, 4, 0).rows.tolist() == [0, 1, 2, 3]


def test_full_refuses_less():
    with pytest.raises(ValueError, match="ratio 1.0"):
        full.select(POOL, {}, 3, 0)
