"""scripts/check_budgets.py: all budgets that cannot be met are reported at once."""

import json

import check_budgets
import pandas as pd
import pytest


def run(folder, *flags):
    pool = {"row": range(10), "sample_id": [f"s{i}" for i in range(10)]}
    pool |= {"source": ["a"] * 4 + ["b"] * 6, "n_images": 1}
    pd.DataFrame(pool).to_parquet(folder / "samples.parquet")
    flags = ["--samples", folder / "samples.parquet", "--out", folder / "budgets.json", *flags]
    check_budgets.main([*map(str, flags)])
    return json.loads((folder / "budgets.json").read_text())


def test_budgets_that_fit_are_written_in_samples(tmp_path):
    labels = ["--budgets", "ratio-0.25", "samples-7", "tokens-100"]
    assert run(tmp_path, *labels) == {"ratio-0.25": 3, "samples-7": 7, "tokens-100": 1}
    bounds = ["--bounds", json.dumps({"minimum": {"a": 2}, "maximum": {"b": 0.5}})]
    assert run(tmp_path, *labels, *bounds)["tokens-100"] == 2


def test_everything_that_does_not_fit_is_named(tmp_path):
    bounds = ["--bounds", json.dumps({"minimum": {"a": 3}, "maximum": {"b": 2}})]
    with pytest.raises(ValueError, match="budgets that cannot be met") as caught:
        run(tmp_path, "--budgets", "samples-2", "samples-5", "samples-8", "samples-11", *bounds)
    lines = str(caught.value).splitlines()[1:]
    assert lines == [
        "samples-2: source 'a': at least 3 samples (minimum, quota or keep), but at most 2 of 2",
        "samples-8: 4 of a + 2 of b = 6 samples are allowed, the budget is 8",
        "samples-11: budget samples-11 does not fit a pool of 10 samples",
    ]
    assert not (tmp_path / "budgets.json").exists()


def test_what_the_gate_leaves_is_enough(tmp_path):
    labels = ["--budgets", "samples-8", "tokens-100", "--gate", "0.2"]
    assert run(tmp_path, *labels) == {"samples-8": 8, "tokens-100": 1}  # sources of 4 and 6
    (tmp_path / "budgets.json").unlink()
    one = ["--budgets", "samples-6", "samples-7", "samples-9", "--gate", "0.35", "--gate-groups"]
    with pytest.raises(ValueError) as caught:
        run(tmp_path, *one, 1)  # 3.5 of 10 samples are four
    assert str(caught.value).splitlines()[1:] == [
        "samples-7: 7 samples are wanted, the gate leaves 6 at most",
        "samples-9: 9 samples are wanted, the gate leaves 6 at most",
    ]
    (tmp_path / "ids.txt").write_text("s1\n")  # which is chosen all the same
    with pytest.raises(
        ValueError, match="9 samples are wanted, the gate leaves 7 at most"
    ) as caught:
        run(tmp_path, *one, 1, "--keep", tmp_path / "ids.txt")
    assert "samples-7" not in str(caught.value)
    with pytest.raises(ValueError, match="the gate leaves 8 at most"):
        run(tmp_path, *one, 4)  # as few as two, if each group loses less than half a sample


def test_a_table_of_another_length_than_its_summary_is_named(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"read": 11, "accepted": 11}))
    with pytest.raises(ValueError, match=r"samples.parquet has 10 samples, and .*tells of 11"):
        run(tmp_path, "--budgets", "samples-7", "--summary", tmp_path / "summary.json")


@pytest.mark.parametrize("key", ["keep", "exclude"])
def test_unknown_ids_are_named(tmp_path, key):
    (tmp_path / "ids.txt").write_text("s1\nx9\n")
    with pytest.raises(ValueError, match=f"constraints.{key}: 1 ids are not in the pool: 'x9'"):
        run(tmp_path, "--budgets", "samples-2", f"--{key}", tmp_path / "ids.txt")


def test_a_pool_that_lost_more_than_its_share_is_refused(tmp_path):
    reasons = {"missing_image": 19, "excluded": 30, "no_id": 1}
    summary = {"read": 60, "accepted": 10, "rejected": 50, "rejected_by_reason": reasons}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    flags = ["--budgets", "samples-7", "--summary", tmp_path / "summary.json", "--max-rejected"]
    assert run(tmp_path, *flags) == {"samples-7": 7}  # any
    (tmp_path / "budgets.json").unlink()
    assert run(tmp_path, *flags, 0.34) == {"samples-7": 7}
    (tmp_path / "budgets.json").unlink()
    with pytest.raises(ValueError, match=r"^20 of 60 records were rejected \(19 missing_image, "):
        run(tmp_path, *flags, 0.33)
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"taken": 40}))
    with pytest.raises(ValueError, match="20 of 40 .* more than the share of 0.4 .*max_rejected"):
        run(tmp_path, *flags, 0.4)
    assert not (tmp_path / "budgets.json").exists()
