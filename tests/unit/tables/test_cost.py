"""Costs of jobs, rules and methods, from benchmark files made by hand."""

import json
import logging
import math

import pandas as pd
import pytest

from vlselect.tables.cost import (
    Cost,
    beside_performance,
    devices,
    method_rows,
    read_job,
    rule_rows,
    total,
)
from vlselect.tables.declarations import Run


def write_job(path, wall, cpu=None, rss=100.0, repeat=1, **resources):
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"s": wall, "h:m:s": "0:00:01", "cpu_time": cpu if cpu is not None else wall}
    line |= {"max_rss": rss, "max_vms": 1.0, "resources": {"_cores": 4, "mem_mb": 100} | resources}
    path.write_text("".join(json.dumps(line) + "\n" for _ in range(repeat)))


@pytest.fixture
def folder(tmp_path):
    """Full and ICONS at 20 %, two seeds; two gradient shards; another model's gradients."""
    write_job(tmp_path / "warm_up/target.jsonl", 5.0, rss=300.0, processes=2)
    for shard, wall in (("1-of-2", 10.0), ("2-of-2", 12.0)):
        path = tmp_path / f"collect_gradients/target/{shard}.jsonl"
        write_job(path, wall, cpu=9.0, rss=500.0)
    write_job(tmp_path / "collect_gradients/target/1-of-4.jsonl", 1000.0)  # of an earlier run
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
ICONS = ["warm_up/target", "collect_gradients/target/*-of-2", "compute_influence"]


def selections(icons=(*ICONS, "select_icons/{subset}")):
    """Return the jobs behind the subsets of RUNS."""
    behind = {"full": ["select_full/{subset}"], "icons": list(icons)}
    return {f"{run.method}/{run.label}": behind[run.method] for run in RUNS}


def by_name(rows):
    return {(row["name"], row["level"]): row for row in rows}


def test_selection_finetuning_and_total_of_a_method(folder):
    table = by_name(method_rows(folder, selections(), RUNS, "finetune_model"))
    icons = table["icons", "selection"]
    assert icons["wall_seconds"] == pytest.approx(5 + 10 + 12 + 3 + (1 + 3) / 2)
    assert icons["device_seconds"] == pytest.approx(2 * 5 + 10 + 12 + 3 + (1 + 3) / 2)
    assert icons["elapsed_seconds"] == pytest.approx(5 + 12 + 3 + (1 + 3) / 2)
    assert icons["cpu_seconds"] == pytest.approx(5 + 2 * 9 + 3 + (1 + 3) / 2)
    assert icons["peak_memory_mb"] == 500.0
    assert icons["jobs"] == 1 + 2 + 1 + 1
    assert table["icons", "finetuning"]["wall_seconds"] == pytest.approx(21.0)
    total = table["icons", "total"]
    assert total["device_seconds"] == pytest.approx(37.0 + 21.0)
    assert total["relative_to_full"] == pytest.approx(100 * 58.0 / 101.0)
    assert total["peak_memory_mb"] == 900.0
    assert table["full", "finetuning"]["relative_to_full"] == pytest.approx(100.0)


def test_eighty_gpu_hours_are_eighty_gpu_hours(tmp_path):
    """A method of 80 one-GPU hours, a finetuning of 10 hours on eight GPUs: 100 %."""
    hour, full, icons = 3600.0, Run("m", "full", "1.0", "0"), Run("m", "icons", "0.2", "0")
    for shard in range(1, 9):
        path = tmp_path / f"collect_gradients/m/{shard}-of-8.jsonl"
        write_job(path, 10 * hour, gpu=1, processes=1)
    for run in (full, icons):
        path = tmp_path / f"finetune_model/m/{run.method}/{run.label}.jsonl"
        write_job(path, 10 * hour, gpu=8, processes=8)
    behind = {f"full/{full.label}": [], f"icons/{icons.label}": ["collect_gradients/m/*-of-8"]}
    table = by_name(method_rows(tmp_path, behind, [full, icons], "finetune_model"))
    selection = table["icons", "selection"]
    assert selection["relative_to_full"] == 100.0
    assert selection["device_seconds"] == selection["wall_seconds"] == 80 * hour
    assert selection["elapsed_seconds"] == 10 * hour
    finetuning = table["full", "finetuning"]
    assert (finetuning["device_seconds"], finetuning["wall_seconds"]) == (80 * hour, 10 * hour)
    assert table["icons", "total"]["relative_to_full"] == 200.0


@pytest.mark.parametrize(
    ("resources", "held"),
    [
        ({}, 1),
        ({"_cores": 16, "gpu": 0, "workers": 4}, 1),
        ({"_cores": 16, "gpu": 1, "processes": 1}, 1),
        ({"gpu": 0, "processes": 2}, 2),
        ({"gpu": 8, "processes": 8}, 8),
        ({"gpu": 4, "processes": 1}, 4),
    ],
)
def test_devices_are_gpus_or_processes_never_threads(resources, held):
    assert devices(resources) == held


def test_costs_of_earlier_versions_count_one_device_and_the_log_says_so(tmp_path, caplog):
    path = tmp_path / "finetune_model/m/full/ratio-1.0_seed-0.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"s": 7.0, "cpu_time": 7.0, "max_rss": 1.0}) + "\n")
    write_job(tmp_path / "select_full/ratio-1.0_seed-0.jsonl", 1.0)
    with caplog.at_level(logging.WARNING):
        table = {row["name"]: row for row in rule_rows(tmp_path)}
    assert table["finetune_model"]["device_seconds"] == 7.0
    assert "finetune_model" in caplog.text and "select_full" not in caplog.text


def test_rules_sum_all_their_jobs(folder):
    table = {row["name"]: row for row in rule_rows(folder)}
    assert list(table) == sorted(table)
    assert table["collect_gradients"]["wall_seconds"] == pytest.approx(2022.0)
    assert table["collect_gradients"]["elapsed_seconds"] == 1000.0
    assert table["compute_influence"]["jobs"] == 1
    assert table["finetune_model"]["jobs"] == 4
    assert table["warm_up"]["device_seconds"] == 10.0
    assert table["warm_up"]["model"] == "" and math.isnan(table["warm_up"]["relative_to_full"])


@pytest.mark.parametrize("missing", ["never_ran", "collect_gradients/target/*-of-3"])
def test_a_missing_job_is_empty_not_zero(folder, caplog, missing):
    with caplog.at_level(logging.WARNING):
        rows = method_rows(folder, selections(["warm_up/target", missing]), RUNS, "finetune_model")
    table = by_name(rows)
    for level in ("selection", "total"):
        assert table["icons", level]["jobs"] == 0
        for column in ("device_seconds", "wall_seconds", "elapsed_seconds", "relative_to_full"):
            assert math.isnan(table["icons", level][column])
    assert table["icons", "finetuning"]["wall_seconds"] == pytest.approx(21.0)
    assert missing.replace("*", "1") in caplog.text
    assert caplog.text.count("no benchmark file") == 1


def test_a_missing_checkpoint_is_empty_not_zero(folder):
    runs = [*RUNS, Run("target", "icons", "0.2", "2")]
    behind = selections() | {f"icons/{runs[-1].label}": []}
    table = by_name(method_rows(folder, behind, runs, "finetune_model"))
    assert math.isnan(table["icons", "finetuning"]["wall_seconds"])
    assert math.isnan(table["icons", "total"]["relative_to_full"])


def test_without_finetuning_on_full_there_is_no_share(folder):
    rows = method_rows(folder, selections(), RUNS[2:], "finetune_model")
    assert all(math.isnan(row["relative_to_full"]) for row in rows)


def test_without_a_model_there_is_selection_alone(folder):
    runs = [Run("", run.method, run.ratio, run.seed) for run in RUNS]
    table = by_name(method_rows(folder, selections(), runs, "finetune_model"))
    assert table.keys() == {("full", "selection"), ("icons", "selection")}


def test_each_seed_has_its_own_jobs(folder):
    """If the warm-up depends on the seed, each seed is charged for its own."""
    for seed, wall in (("0", 4.0), ("1", 8.0)):
        write_job(folder / f"warm_up/target/seed-{seed}.jsonl", wall, gpu=2)
    behind = {f"{run.method}/{run.label}": [f"warm_up/target/seed-{run.seed}"] for run in RUNS}
    table = by_name(method_rows(folder, behind, RUNS, "finetune_model"))
    assert table["icons", "selection"]["device_seconds"] == 2 * (4 + 8) / 2
    assert table["icons", "selection"]["jobs"] == 1


def test_a_subset_without_jobs_is_named(folder):
    with pytest.raises(ValueError, match="subset icons/ratio-0.2_seed-0"):
        behind = {name: [] for name in selections() if name.startswith("full")}
        method_rows(folder, behind, RUNS, "finetune_model")


def test_beside_performance_leaves_out_what_was_not_measured(folder):
    runs = [*RUNS, Run("target", "random", "0.2", "0")]
    behind = selections() | {"random/ratio-0.2_seed-0": []}
    rows = method_rows(folder, behind, runs, "finetune_model")
    methods = [("full", "1.0"), ("icons", "0.2"), ("random", "0.2"), ("majority", "")]
    performance = [
        {"model": "target", "method": m, "ratio": r, "task": task, "relative": 50.0}
        for m, r in methods
        for task in ("reading", "mean")
    ]
    performance = pd.DataFrame(performance).assign(low=1.0, high=2.0)
    joined = beside_performance(pd.DataFrame(rows), performance)
    assert joined["method"].tolist() == ["full", "icons"]
    assert joined["selection"].tolist() == pytest.approx([100 / 101, 3700 / 101])
    assert joined["finetuning"].tolist() == pytest.approx([100.0, 2100 / 101])
    assert joined["total"].tolist() == pytest.approx([10200 / 101, 5800 / 101])


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
    joined = beside_performance(pd.DataFrame([row]), performance)
    assert joined["total"].tolist() == [30.0] and joined["selection"].isna().all()


def test_jobs_too_short_to_be_sampled_are_counted(tmp_path):
    write_job(tmp_path / "a/1.jsonl", 0.01, cpu="NA", rss="NA")
    write_job(tmp_path / "a/2.jsonl", 4.0)
    cost = total(map(read_job, sorted(tmp_path.rglob("*.jsonl"))))
    assert (cost.jobs, cost.unsampled) == (2, 1)
    assert (cost.wall, cost.cpu, cost.peak) == pytest.approx((4.01, 4.0, 100.0))


def test_repeats_of_one_job_are_averaged(tmp_path):
    write_job(tmp_path / "a.jsonl", 4.0, repeat=3)
    assert read_job(tmp_path / "a.jsonl") == Cost(1, 0, 4.0, 4.0, 4.0, 4.0, 100.0)


@pytest.mark.parametrize("text", ["", "s\th:m:s\n1.0\t0:00:01\n", "{}\n", '{"s": 1.0}\n', "[1]\n"])
def test_refuses_other_files(tmp_path, text):
    path = tmp_path / "job.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match="job.jsonl"):
        read_job(path)
