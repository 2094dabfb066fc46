"""Published tables converted to our own."""

import pandas as pd
import pytest

from vlselect.tables import contrasts
from vlselect.tables.published_tables import check_means, published_cost, published_scores
from vlselect.tables.relative_performance import relative_by_seed, relative_performance


def performance_of(scores):
    by_seed = relative_by_seed(scores)
    return relative_performance(by_seed, contrasts.by_model(scores))


def wide(**columns):
    base = {"method": ["full", "random"], "gqa": ["50", "40"], "mme": ["1500", "1350"]}
    return pd.DataFrame(base | columns, dtype=str)


def test_long_form_keeps_units_and_order():
    scores = published_scores(wide(), "llava", "0.2")
    assert scores["score"].tolist() == [50.0, 1500.0, 40.0, 1350.0]
    assert scores["task"].tolist() == ["gqa", "mme"] * 2
    assert scores["ratio"].tolist() == ["1.0", "1.0", "0.2", "0.2"]
    assert set(scores["seed"]) == {""} and set(scores["n"]) == {0}
    means = performance_of(scores)
    assert means.loc[means["task"] == "mean", "relative"].tolist() == [100.0, 85.0]


def test_ratios_and_seeds_of_the_rows_come_first():
    table = wide(ratio=["1.0", "0.4"], seed=["3", "4"])
    scores = published_scores(table, "llava", "0.2")
    assert scores["ratio"].unique().tolist() == ["1.0", "0.4"]
    assert scores["seed"].unique().tolist() == ["3", "4"]


@pytest.mark.parametrize("text", ["", "n/a", "nan", "inf"])
def test_a_score_that_is_no_number_is_named(text):
    with pytest.raises(ValueError, match="random, gqa"):
        published_scores(wide(gqa=["50", text]), "llava", "0.2")


def test_refuses_a_run_that_stands_there_twice_and_a_table_without_methods():
    with pytest.raises(ValueError, match="twice"):
        published_scores(wide(method=["full", "full"]), "llava", "0.2")
    with pytest.raises(ValueError, match="method"):
        published_scores(wide().rename(columns={"method": "name"}), "llava", "0.2")


def test_stated_means_are_checked_within_the_tolerance():
    performance = performance_of(published_scores(wide(), "llava", "0.2"))
    check_means(performance, [100, 85.1], 0.11)
    with pytest.raises(ValueError, match="random: stated 85.2, computed 85.00"):
        check_means(performance, [100, 85.2], 0.1)
    with pytest.raises(ValueError, match="1 stated"):
        check_means(performance, [100], 0.1)


def hours(*rows):
    return pd.DataFrame(rows, columns=["level", "method", "ratio", "hours"])


def test_costs_are_shares_of_finetuning_on_the_full_pool():
    rows = [("total", "icons", "0.4", "25"), ("finetuning", "full", "1.0", "50")]
    table = published_cost(hours(*rows, ("total", "icons", "0.2", "10")), "llava")
    assert table["name"].tolist() == ["full"] * 3 + ["icons"] * 2
    assert table["level"].tolist() == ["finetuning", "selection", "total", "total", "total"]
    assert table["relative_to_full"].tolist() == [100.0, 0.0, 100.0, 20.0, 50.0]
    assert table["wall_seconds"].tolist()[-1] == 25 * 3600
    unsaid = ["device_seconds", "elapsed_seconds", "cpu_seconds", "peak_memory_mb"]
    assert table[unsaid].isna().all(axis=None) and set(table["jobs"]) == {0}


def test_published_gpu_hours_are_device_seconds():
    rows = hours(("finetuning", "full", "1.0", "80"), ("selection", "icons", "0.2", "20"))
    table = published_cost(rows.rename(columns={"hours": "device_hours"}), "llava")
    assert table["device_seconds"].tolist() == [80 * 3600, 0, 80 * 3600, 20 * 3600]
    assert table["wall_seconds"].isna().all()
    assert table["relative_to_full"].tolist() == [100.0, 0.0, 100.0, 25.0]


def test_published_costs_are_in_one_kind_of_hours():
    rows = hours(("finetuning", "full", "1.0", "50"))
    for wrong in (rows.drop(columns="hours"), rows.assign(device_hours="400")):
        with pytest.raises(ValueError, match="one column of"):
            published_cost(wrong, "llava")


def test_costs_need_the_full_pool():
    with pytest.raises(ValueError, match="full"):
        published_cost(hours(("total", "icons", "0.2", "10")), "llava")
