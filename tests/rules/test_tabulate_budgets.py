"""scripts/tabulate_budgets.py: each budget's share of the pool, its name in the tables."""

import pandas as pd
import pytest
import tabulate_budgets

from vlselect.tables import declarations


def run(folder, *budgets):
    pd.DataFrame({"row": range(7)}).to_parquet(folder / "samples.parquet")
    tokens = {"row": range(7), "tokens": 3, "response_tokens": 1}
    pd.DataFrame(tokens).to_parquet(folder / "tokens.parquet")
    flags = ["--samples", folder / "samples.parquet", "--tokens", folder / "tokens.parquet"]
    flags += ["--budgets", *budgets, "--out", folder / "budgets.csv"]
    tabulate_budgets.main([*map(str, flags)])
    return folder / "budgets.csv"


def test_shares_of_samples_and_of_tokens(tmp_path):
    path = run(tmp_path, "ratio-0.20", "samples-2", "tokens-7")
    assert path.read_text().splitlines() == [
        "budget,amount,pool,ratio",
        "ratio-0.20,1,7,0.20",
        "samples-2,2,7,0.285714",
        "tokens-7,7,21,0.333333",
    ]
    shares = declarations.read_shares([path])
    one = declarations.Run.parse("m/icons/tokens-7_seed-1", shares)
    assert one == declarations.Run("m", "icons", "0.333333", "1", "tokens-7")
    assert one.label == "tokens-7_seed-1"
    plain = declarations.Run.parse("m/icons/ratio-0.20_seed-1", shares)
    assert (
        plain == declarations.Run("m", "icons", "0.20", "1") and plain.label == "ratio-0.20_seed-1"
    )
    with pytest.raises(ValueError, match="the ratio of budget samples-9 is not given"):
        declarations.Run.parse("m/icons/samples-9_seed-1", shares)


def test_budgets_that_tables_could_not_tell_apart_are_errors(tmp_path):
    with pytest.raises(ValueError, match="budgets samples-2 and tokens-6 are both 0.285714"):
        run(tmp_path, "samples-2", "tokens-6")
    with pytest.raises(ValueError, match="samples-8 does not fit a pool of 7"):
        run(tmp_path, "samples-8")
