"""Costs of jobs, rules and methods, from benchmark files made by hand."""

import json
import logging
import math

import pandas as pd
import pytest

from vlselect import costs
from vlselect.tables import Run


def write_job(path, wall, cpu=None, rss=100.0, repeat=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"s": wall, "h:m:s": "0:00:01", "cpu_time": cpu if cpu is not None else wall}
    line |= {"max_rss": rss, "max_vms": 1.0}
    path.write_text("".join(json.dumps(line) + "\n" for _ in range(repeat)))


@pytest.fixture
def folder(tmp_path):
    """Full and ICONS at 20 %, two seeds; two gradient shards; another model's gradients."""
    write_job(tmp_path / "warm_up/target.jsonl", 5.0, rss=300.0)
    for shard in ("1-of-2", "2-of-2"):
        write_job(tmp_path / f"collect_gradients/target/{shard}.jsonl", 10.0, cpu=9.0, rss=500.0)
    write_job(tmp_path / "collect_gradients/other/1-of-1.jsonl", 1000.0)
    write_job(tmp_path / "compute_influence.jsonl", 3.0)
    for seed, extra in (("0", 0.0), ("1", 2.0)):
        name = f"ratio-0.2_seed-{seed}.jsonl"
        write_job(tmp_path / "select_icons" / name, 1.0 + extra)
        write_job(tmp_path / "select_full" / f"ratio-1.0_seed-{seed}.jsonl", 1.0)
        write_job(tmp_path / "finetune_model/target/icons" / name, 20.0 + extra, rss=900.0)
        full = tmp_path / "finetune_model/target/full" / f"ratio-1.0_seed-{seed}.jsonl"
        write_job(full, 100.0 + extra)
    return tmp_path


RUNS = [Run("target", "full", "1.0", s) for s in "01"]
RUNS += [Run("target", "icons", "0.2", s) for s in "01"]
STAGES = {
    "full": ["select_full"],
    "icons": ["warm_up", "collect_gradients/target", "compute_influence", "select_icons"],
}


def test_selection_finetuning_and_total_of_a_method(folder):
    rows = costs.method_rows(folder, STAGES, RUNS, "finetune_model")
    table = {(row["name"], row["level"]): row for row in rows}
    icons = table["icons", "selection"]
    assert icons["wall_seconds"] == pytest.approx(5 + 2 * 10 + 3 + (1 + 3) / 2)
    assert icons["cpu_seconds"] == pytest.approx(5 + 2 * 9 + 3 + (1 + 3) / 2)
    assert icons["peak_memory_mb"] == 500.0
    assert icons["jobs"] == 1 + 2 + 1 + 1
    assert table["icons", "finetuning"]["wall_seconds"] == pytest.approx(21.0)
    total = table["icons", "total"]
    assert total["wall_seconds"] == pytest.approx(30.0 + 21.0)
    assert total["relative_to_full"] == pytest.approx(100 * 51.0 / 101.0)
    assert total["peak_memory_mb"] == 900.0
    assert table["full", "finetuning"]["relative_to_full"] == pytest.approx(100.0)


def test_rules_sum_all_their_jobs(folder):
    table = {row["name"]: row for row in costs.rule_rows(folder)}
    assert list(table) == sorted(table)
    assert table["collect_gradients"]["wall_seconds"] == pytest.approx(1020.0)
    assert table["compute_influence"]["jobs"] == 1
    assert table["finetune_model"]["jobs"] == 4
    assert table["warm_up"]["model"] == "" and math.isnan(table["warm_up"]["relative_to_full"])


def test_a_missing_stage_is_empty_not_zero(folder, caplog):
    stages = STAGES | {"icons": ["warm_up", "never_ran"]}
    with caplog.at_level(logging.WARNING):
        rows = costs.method_rows(folder, stages, RUNS, "finetune_model")
    table = {(row["name"], row["level"]): row for row in rows}
    for level in ("selection", "total"):
        assert table["icons", level]["jobs"] == 0
        assert math.isnan(table["icons", level]["wall_seconds"])
    assert table["icons", "finetuning"]["wall_seconds"] == pytest.approx(21.0)
    assert "never_ran" in caplog.text


def test_a_missing_checkpoint_is_empty_not_zero(folder):
    runs = [*RUNS, Run("target", "icons", "0.2", "2")]
    rows = costs.method_rows(folder, STAGES, runs, "finetune_model")
    table = {(row["name"], row["level"]): row for row in rows}
    assert math.isnan(table["icons", "finetuning"]["wall_seconds"])
    assert math.isnan(table["icons", "total"]["relative_to_full"])


def test_without_finetuning_on_full_there_is_no_share(folder):
    rows = costs.method_rows(folder, STAGES, RUNS[2:], "finetune_model")
    assert all(math.isnan(row["relative_to_full"]) for row in rows)


def test_a_method_without_stages_is_named(folder):
    with pytest.raises(ValueError, match="method icons"):
        costs.method_rows(folder, {"full": []}, RUNS, "finetune_model")


def test_beside_performance_leaves_out_what_was_not_measured(folder):
    runs = [*RUNS, Run("target", "random", "0.2", "0")]
    rows = costs.method_rows(folder, STAGES | {"random": []}, runs, "finetune_model")
    methods = [("full", "1.0"), ("icons", "0.2"), ("random", "0.2"), ("majority", "")]
    performance = [
        {"model": "target", "method": m, "ratio": r, "task": task, "relative": 50.0}
        for m, r in methods
        for task in ("reading", "mean")
    ]
    performance = pd.DataFrame(performance).assign(low=1.0, high=2.0)
    joined = costs.beside_performance(pd.DataFrame(rows), performance)
    assert joined["method"].tolist() == ["full", "icons"]
    assert joined["selection"].tolist() == pytest.approx([100 / 101, 3000 / 101])
    assert joined["finetuning"].tolist() == pytest.approx([100.0, 2100 / 101])
    assert joined["total"].tolist() == pytest.approx([10100 / 101, 5100 / 101], rel=0.02)


def test_a_total_without_its_parts_is_enough():
    row = {
        "level": "total",
        "name": "icons",
        "model": "m",
        "ratio": "0.2",
        "relative_to_full": 30.0,
    }
    means = {"model": "m", "method": "icons", "ratio": "0.2", "task": "mean", "relative": 97.0}
    performance = pd.DataFrame([means]).assign(low=float("nan"), high=float("nan"))
    joined = costs.beside_performance(pd.DataFrame([row]), performance)
    assert joined["total"].tolist() == [30.0] and joined["selection"].isna().all()


def test_jobs_too_short_to_be_sampled_are_counted(tmp_path):
    write_job(tmp_path / "a/1.jsonl", 0.01, cpu="NA", rss="NA")
    write_job(tmp_path / "a/2.jsonl", 4.0)
    cost = costs.stage_cost(tmp_path, "a")
    assert (cost.jobs, cost.unsampled) == (2, 1)
    assert (cost.wall, cost.cpu, cost.peak) == pytest.approx((4.01, 4.0, 100.0))


def test_repeats_of_one_job_are_averaged(tmp_path):
    write_job(tmp_path / "a.jsonl", 4.0, repeat=3)
    assert costs.read_job(tmp_path / "a.jsonl") == costs.Cost(1, 0, 4.0, 4.0, 100.0)


@pytest.mark.parametrize("text", ["", "s\th:m:s\n1.0\t0:00:01\n", "{}\n", '{"s": 1.0}\n', "[1]\n"])
def test_refuses_other_files(tmp_path, text):
    path = tmp_path / "job.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match="job.jsonl"):
        costs.read_job(path)
