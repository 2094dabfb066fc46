"""Relative performance, against the published table and a slow reference."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vlselect.tables import contrasts
from vlselect.tables.comparison_with_random import comparison_with_random
from vlselect.tables.declarations import UNDECIDED
from vlselect.tables.relative_performance import (
    merge_groups,
    relative_by_seed,
    relative_performance,
)

PUBLISHED = Path(__file__).parents[4] / "shared/reference/published.csv"
# The rows of that table that the test needs if the file is missing.


EXCERPT = """method,vqav2,gqa,vizwiz,sqa_i,textvqa,pope,mme,mmb_en,mmb_cn,llava_bench,rel_percent
full,79.1,63.0,47.8,68.4,58.2,86.4,1476.9,66.1,58.9,67.9,100
random,75.7,58.9,44.3,68.5,55.3,84.7,1483.0,62.2,54.8,65.0,95.8
el2n,76.2,58.7,43.7,65.5,53.0,84.3,1439.5,53.2,47.4,64.9,92.0
coincide,76.5,59.8,46.8,69.2,55.6,86.1,1495.6,63.1,54.5,67.3,97.4
"""


def published(tmp_path):
    path = PUBLISHED
    if not path.is_file():
        path = tmp_path / "excerpt.csv"
        path.write_text(EXCERPT)
    return pd.read_csv(path)


def make_scores(values, model="target"):
    """values: {(method, ratio, seed): {task: score}}"""
    return pd.DataFrame(
        {
            "model": "" if method == "majority" else model,
            "method": method,
            "ratio": ratio,
            "seed": seed,
            "task": task,
            "score": score,
        }
        for (method, ratio, seed), scores in values.items()
        for task, score in scores.items()
    )


def random_scores(seed):
    generator = np.random.default_rng(seed)
    runs = [("full", "1.0", s) for s in "012"]
    runs += [(method, ratio, s) for method in ("a", "b") for ratio in ("0.1", "0.2") for s in "012"]
    runs += [("pretrained", "0.0", "0"), ("majority", "", "")]
    return make_scores(
        {run: dict(zip("xyz", generator.uniform(5, 95, 3), strict=True)) for run in runs}
    )


def performance(scores):
    by_seed = relative_by_seed(scores)
    return relative_performance(by_seed, contrasts.by_model(scores))


def test_gives_back_the_published_column(tmp_path):
    table = published(tmp_path)
    tasks = [column for column in table.columns if column not in ("method", "rel_percent")]
    runs = {(row["method"], "0.2", "0"): {t: row[t] for t in tasks} for _, row in table.iterrows()}
    by_seed = relative_by_seed(make_scores(runs))
    got = by_seed[by_seed["task"] == "mean"].set_index("method")["relative"]
    expected = table.set_index("method")["rel_percent"]
    assert (got - expected).abs().max() <= 0.1


def test_against_slow_loops():
    scores = random_scores(0)
    table = performance(scores)
    for row in table.to_dict("records"):
        seeds = []
        model = "" if row["method"] == "majority" else "target"
        own = scores[(scores["method"] == row["method"]) & (scores["ratio"] == row["ratio"])]
        assert set(own["model"]) == {model}
        for seed in sorted(set(own["seed"])):
            ratios = []
            for task in "xyz" if row["task"] == "mean" else row["task"]:
                full = scores[(scores["method"] == "full") & (scores["task"] == task)]
                one = own[(own["seed"] == seed) & (own["task"] == task)]["score"].item()
                ratios.append(one / (sum(full["score"]) / 3))
            seeds.append(100 * sum(ratios) / len(ratios))
        assert row["n_seeds"] == len(seeds)
        assert row["relative"] == pytest.approx(sum(seeds) / len(seeds))
        assert (
            (row["interval"] == "none") == (row["low"] != row["low"]) == (row["method"] == "full")
        )


def test_full_is_at_a_hundred_on_every_task():
    table = performance(random_scores(1))
    assert table.loc[table["method"] == "full", "relative"].to_numpy() == pytest.approx(100.0)


def test_tasks_of_different_difficulty_do_not_widen_the_interval():
    shifts = {"0": 1.0, "1": -1.0}
    runs = {("full", "1.0", s): {"easy": 90.0, "hard": 10.0} for s in "01"}
    runs |= {("a", "0.2", s): {"easy": 81.0 + x, "hard": 1.0} for s, x in shifts.items()}
    table = performance(make_scores(runs))
    row = table[(table["method"] == "a") & (table["task"] == "mean")].iloc[0]
    assert row["relative"] == pytest.approx((90 + 10) / 2)
    assert row["low"] < 50 < row["high"] and row["high"] - row["low"] < 10


def test_runs_without_spread_have_no_interval():
    runs = {("full", "1.0", s): {"easy": 90.0, "hard": 10.0} for s in "01"}
    runs |= {("a", "0.2", s): {"easy": 81.0, "hard": 1.0} for s in "01"}
    table = performance(make_scores(runs))
    assert table[["low", "high", "df", "question_low"]].isna().all(axis=None)
    assert set(table["interval"]) == {"none"}


def test_row_order_changes_no_number():
    scores = random_scores(2)
    keys = ["model", "method", "ratio", "task"]
    shuffled = scores.sample(frac=1.0, random_state=0)
    first = performance(scores).set_index(keys)
    second = performance(shuffled).set_index(keys)
    pd.testing.assert_frame_equal(first, second.loc[first.index])


def test_each_model_is_measured_against_its_own_full():
    runs = {("full", "1.0", "0"): {"x": 50.0}, ("a", "0.2", "0"): {"x": 40.0}}
    double = {key: {"x": 2 * value["x"]} for key, value in runs.items()}
    majority = make_scores({("majority", "", ""): {"x": 20.0}})
    scores = pd.concat([make_scores(runs, "m"), make_scores(double, "n"), majority])
    table = relative_by_seed(scores)
    got = table[table["task"] == "mean"].set_index(["model", "method"])["relative"]
    assert got["m", "a"] == got["n", "a"] == pytest.approx(80.0)
    assert (got["m", "majority"], got["n", "majority"]) == pytest.approx((40.0, 20.0))


def test_a_group_counts_as_one_benchmark():
    runs = {("full", "1.0", "0"): {"x": 50.0, "m1": 20.0, "m2": 60.0}}
    runs[("a", "0.2", "0")] = {"x": 50.0, "m1": 20.0, "m2": 20.0}
    merged = merge_groups(make_scores(runs), {"m1": "mme", "m2": "mme"})
    table = relative_by_seed(merged).set_index(["method", "task"])["relative"]
    assert table["a", "mme"] == pytest.approx(50.0)
    assert table["a", "mean"] == pytest.approx(75.0)


def test_a_task_on_which_full_scores_zero_is_named_and_left_out_of_the_mean(caplog):
    runs = {
        ("full", "1.0", "0"): {"x": 50.0, "reading": 0.0},
        ("a", "0.2", "0"): {"x": 20.0, "reading": 1.0},
    }
    by_seed = relative_by_seed(make_scores(runs))
    table = by_seed.set_index(["method", "task"])["relative"]
    assert np.isnan(table["a", "reading"]) and table["a", "mean"] == pytest.approx(40.0)
    assert "on task(s) reading; " in caplog.text and "over 1 of 2 tasks" in caplog.text
    over_seeds = performance(make_scores(runs))
    for found in (by_seed, over_seeds):
        counts = found[found["method"] == "a"].set_index("task")["n_tasks"]
        assert counts.to_dict() == {"x": 1, "reading": 0, "mean": 1}


def test_where_full_scores_zero_on_all_tasks_nothing_is_relative_to_it(caplog):
    runs = {
        ("full", "1.0", "0"): {"x": 0.0, "y": 0.0},
        ("random", "0.2", "0"): {"x": 20.0, "y": 1.0},
        ("a", "0.2", "0"): {"x": 30.0, "y": 1.0},
    }
    scores = make_scores(runs)
    by_seed = relative_by_seed(scores)
    of_models = contrasts.by_model(scores)
    table = relative_performance(by_seed, of_models)
    assert table["relative"].isna().all() and not table["n_tasks"].any()
    assert table["low"].isna().all() and (table["score"] > 0).any()
    (row,) = comparison_with_random(by_seed, of_models).to_dict("records")
    assert np.isnan(row["difference"]) and np.isnan(row["p"]) and row["verdict"] == UNDECIDED
    assert row["n_tasks"] == 0
    assert "the mean is over 0 of 2 tasks" in caplog.text


def test_missing_reference_and_missing_task_are_named():
    with pytest.raises(ValueError, match="no score of 'full'"):
        relative_by_seed(make_scores({("a", "0.2", "0"): {"x": 1.0}}))
    runs = {("full", "1.0", "0"): {"x": 50.0, "y": 50.0}, ("a", "0.2", "0"): {"x": 1.0}}
    with pytest.raises(ValueError, match=r"a/0.2/0 has tasks \['x'\]"):
        relative_by_seed(make_scores(runs))
    with pytest.raises(ValueError, match="nothing to compare"):
        relative_by_seed(make_scores({("majority", "", ""): {"x": 1.0}}))
