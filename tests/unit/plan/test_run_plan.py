"""The plan of a run: counts of jobs, what is known with and without a calibration."""

from copy import deepcopy
from dataclasses import replace

import pytest

from vlselect.plan.plan_facts import MEASURED, RECKONED, UNKNOWN, Facts
from vlselect.plan.plan_scoring import scoring_stages
from vlselect.plan.run_plan import plan

CONFIG = {
    "pool": {"shards": 4},
    "tasks": {"a": {}, "b": {}},
    "methods": {
        "full": {},
        "icons": {"keep_matrix": False},
        "scalselect": {"model": "big"},
        "el2n": {"model": "small"},
    },
    "gradients": {
        "model": "big",
        "projection": {"dim": 128},
        "warm_up": {"fraction": 0.1, "seed": 0, "finetune": {"epochs": 2}},
    },
    "finetune": {"epochs": 3},
}
RUNS = [
    {"model": "big", "method": method, "budget": budget, "seed": seed}
    for seed in (0, 1)
    for method, budget in (("full", "ratio-1.0"), ("icons", "ratio-0.2"), ("icons", "samples-50"))
]
ONE = {"fixed": 10.0, "each": 0.5, "memory": 1e9, "gpu_memory": 2e9, "bytes": 1000}
CALIBRATION = {
    "machine": {
        **dict.fromkeys(("single", "double", "read", "cast", "sort", "records"), 1e9),
        "start": 1.0,
    },
    "pool": {"seconds_each": 0.01, "bytes_each": 100.0, "record_bytes": 50.0, "memory": 1e8},
    "stages": {
        "extract_features/small": ONE,
        "extract_attention/big": {"error": "it broke"},
        "warm_up/big": ONE,
        "collect_gradients/big": ONE,
        "finetune_model/big": ONE,
        "run_benchmarks/big": ONE | {"tasks": {"a": 0.1, "b": 0.3}},
    },
    "columns": {"big": {"attended": 32}},
}
COLUMNS = {"small": {"activations": 80, "last_token": 8, "mean_hidden": 8, "likelihood": 3}}


def stages(calibration, widths=COLUMNS, config=CONFIG):
    facts = Facts(config, RUNS, 1000, {"a": 30, "b": 10}, {"a": 5, "b": 5}, widths, calibration)
    return {stage.name: stage for stage in plan(facts)}


def test_jobs_are_counted_without_anything_measured():
    found = stages({}, {})
    assert all(stage.seconds is None and stage.basis == UNKNOWN for stage in found.values())
    assert found["extract_features/small"].jobs == found["collect_gradients/big"].jobs == 4
    assert found["finetune_model/big"].jobs == 6 and found["run_benchmarks/big"].jobs == 7
    assert found["select_full"].jobs == 2 and found["select_icons"].jobs == 4
    assert found["collect_gradients/big"].disk == 1000 * 128 * 2
    assert found["extract_features/small"].disk is None


def test_hours_of_models_are_jobs_times_fixed_plus_samples():
    found = stages(CALIBRATION)
    assert found["extract_features/small"].seconds == pytest.approx(4 * 10 + 1000 * 0.5)
    assert found["extract_features/small"].disk == 1000 * (2 * (80 + 8 + 8) + 4 * 3)
    assert found["warm_up/big"].seconds == pytest.approx(10 + 0.1 * 1000 * 2 * 0.5)
    assert found["collect_validation_gradients"].seconds == pytest.approx(10 + 10 * 0.5)
    trained = 2 * 3 * (1000 + 200 + 50)
    assert found["finetune_model/big"].seconds == pytest.approx(6 * 10 + trained * 0.5)
    assert found["finetune_model/big"].disk == 6000
    assert found["run_benchmarks/big"].seconds == pytest.approx(7 * (10 + 30 * 0.1 + 10 * 0.3))
    assert found["finetune_model/big"].basis == MEASURED


def test_what_failed_in_the_calibration_is_not_known():
    found = stages(CALIBRATION)
    assert found["extract_attention/big"].seconds is None
    assert found["extract_attention/big"].disk == 1000 * 32 * 2
    assert found["score_scalselect"].basis == RECKONED and found["score_scalselect"].seconds > 1


def test_what_the_runs_seeds_move_is_planned_for_each_of_them():
    moved = deepcopy(CONFIG)
    moved["gradients"]["warm_up"]["seed"] = None
    once, each = stages(CALIBRATION), stages(CALIBRATION, config=moved)
    rules = ("warm_up/big", "collect_gradients/big", "collect_validation_gradients")
    for name in (*rules, "compute_influence", "cast_votes"):
        for what in ("jobs", "seconds", "disk"):
            assert getattr(each[name], what) == pytest.approx(2 * getattr(once[name], what)), name
        assert each[name].memory == once[name].memory
    assert {name: s for name, s in each.items() if once[name] == s}.keys() == once.keys() - {
        *(*rules, "compute_influence", "cast_votes")
    }


@pytest.mark.parametrize(("seed", "jobs"), [(None, 2), (5, 1)])
def test_scores_with_seeds_are_planned_for_each_or_once(seed, jobs):
    kmeans = {"model": "small", "seed": seed, "n_clusters": 5, "iterations": 2}
    kmeans |= {"points_per_centroid": 256, "memory_gb": 1}
    lists = {"model": "small", "seed": seed, "index": "auto", "n_lists": None, "k": 5}
    lists |= {"n_probe": 4, "memory_gb": 1}
    net = {"model": "big", "clip": "clip", "seed": seed, "fraction": 0.5, "finetune": {}}
    methods = {"coincide": kmeans, "semdedup": kmeans, "self_sup": kmeans}
    methods |= {"d2_pruning": lists, "self_filter": net}
    budget = {"model": "big", "budget": "ratio-0.2"}
    runs = [budget | {"method": method, "seed": s} for method in methods for s in (0, 1)]
    facts = Facts(CONFIG | {"methods": methods}, runs, 1000, {}, {}, COLUMNS, CALIBRATION)
    found = {stage.name: stage for stage in scoring_stages(facts)}
    assert len(found) == 7 and {stage.jobs for stage in found.values()} == {jobs}
    one = {stage.name: stage for stage in scoring_stages(replace(facts, runs=runs[::2]))}
    for name, stage in found.items():
        assert stage.disk == jobs * one[name].disk, name
