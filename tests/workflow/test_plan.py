"""Trials and plans of a small config, without its models too, and LLaVA-665K's."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from running import HERE, ROOT, jobs, snakemake, stand_in, succeeded
from warm_python import warm_python

from vlselect.plan.extrapolation import measure
from vlselect.plan.jobs import read_jobs

MINI, LLAVA = HERE / "mini.yaml", ROOT / "configs/llava_665k.yaml"
SOURCES = ("photos", "charts", "chats")
TRIAL, SMALLER = 96, 24


def plan(folder, config, *more, trial=TRIAL):
    """Run the command; return its result, with both streams in stdout."""
    command = [warm_python(), ROOT / "scripts/plan_run.py", "--configfile", config]
    command += ["--trial", trial, *more, "--", "--cores", 2]
    command += ["--workflow-profile", ROOT / "profiles/default"]
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]])
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def write(folder, config):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def small_config(folder):
    """The mini config as a mixture, with every kind of budget, constraints and fewer methods."""
    config = yaml.safe_load(MINI.read_text(encoding="utf-8"))
    records = json.loads((folder / "data/mixture.json").read_text(encoding="utf-8"))
    for source in SOURCES:
        part = [record for record in records if record["task"] == source]
        (folder / f"data/{source}.json").write_text(json.dumps(part), encoding="utf-8")
    parts = {s: {"records": f"data/{s}.json", "images": "data/images"} for s in SOURCES}
    config["pool"] = {"sources": parts, "shards": 3}
    for task in config["tasks"].values():
        task["images"] = "data/images"
    (folder / "keep.json").write_text(json.dumps([f"photos:pool-{i:03d}" for i in (3, 6)]))
    (folder / "exclude.txt").write_text("\n".join(f"chats:pool-{i:03d}" for i in range(2, 60, 3)))
    constraints = {"keep": "keep.json", "exclude": "exclude.txt", "minimum": {"charts": 10}}
    constraints |= {"maximum": {"photos": 40}, "quota": {"chats": 0.3}}
    constraints |= {"duplicates": {"model": "target", "cosine": 0.9999}}
    experiments = {
        "budgets": {
            "methods": ["full", "random"],
            "ratios": [0.2],
            "samples": [40],
            "tokens": [1500],
        },
        "methods": {"methods": ["coincide"], "ratios": [0.2]},
    }
    methods = {"full": {}, "random": {}, "coincide": {"model": "target", "n_clusters": 12}}
    config |= {"constraints": constraints, "experiments": experiments, "methods": methods}
    del config["gradients"]
    return config | {"seeds": [0]}


@pytest.fixture(scope="module")
def planned(mini_input, tmp_path_factory):
    """Folder, config and output of a plan."""
    folder = tmp_path_factory.mktemp("planned")
    shutil.copytree(mini_input / "data", folder / "data")
    path = write(folder, small_config(folder))
    return folder, path, succeeded(plan(folder, path))


def test_trials_run_to_their_end_with_all_that_is_asked_of_them(planned):
    folder, _, _ = planned
    assert not (folder / "results/mini/pool").exists()
    for n in (TRIAL, SMALLER):
        run = folder / f"results/mini-trial-{n}"
        summary = json.loads((run / "pool/summary.json").read_text())
        assert (summary["read"], summary["taken"]) == (333, n)
        assert summary["accepted"] + summary["rejected"] == n
        assert {s: summary["accepted_by_source"][s] // (n // 3 - 1) for s in SOURCES} == (
            dict.fromkeys(SOURCES, 1)
        )
        share = n / 333
        budgets = ["ratio-0.2", f"samples-{round(40 * share)}", f"tokens-{round(1500 * share)}"]
        found = {path.name.partition("_")[0] for path in (run / "subsets/random").glob("*.parquet")}
        assert found == set(budgets)
        chosen = pd.read_parquet(run / f"subsets/random/{budgets[1]}_seed-0.parquet")
        assert len(chosen) == round(40 * share)
        names = chosen["sample_id"].tolist()
        assert not set(names) & set((folder / "exclude.txt").read_text().split())
        assert sum(name.startswith("charts:") for name in names) >= int(10 * share)
        assert (run / "figures/relative_performance.png").is_file()
        assert len(list((run / "features/target/last_token").iterdir())) == 1


def test_a_plan_has_every_rule_and_says_what_leads_to_the_subsets(planned):
    folder, _, output = planned
    table = pd.read_csv(folder / "results/mini/plan.csv", index_col="stage")
    measured = table["hours"].notna()
    assert (table.loc[measured, "hours"] > 0).all() and table["disk_gb"].notna().all()
    named = table.index.str.startswith(("tabulate_", "plot_"))
    assert set(table.index[~measured]) == set(table.index[named])
    assert table.loc["finetune_model", "jobs"] == 1 + 3 + 1
    assert table.loc["extract_features", "jobs"] == 3
    upstream = table["to_subsets"] > 0
    leading = ["prepare_pool", "extract_features", "find_near_duplicates", "select_random"]
    assert upstream[leading].all()
    assert not upstream[["prepare_task", "finetune_model", "run_benchmarks"]].any()
    for text in ("largest, hours: ", " cpu-hours", "lead to the subsets", "not measured: tabulate"):
        assert text in output
    assert "A trial of run mini: 96 samples, 28.8 % of its pool" in output


def test_a_second_plan_runs_nothing_again(planned):
    folder, path, output = planned
    again = succeeded(plan(folder, path))
    assert "Nothing to be done" in again and "prepare_pool" not in jobs(again)
    assert again[again.index("stage ") :] == output[output.index("stage ") :]


def test_the_run_itself_is_as_large_as_planned_and_not_disturbed(planned, monkeypatch):
    folder, path, _ = planned
    monkeypatch.chdir(folder)
    table = pd.read_csv(folder / "results/mini/plan.csv", index_col="stage")
    output = succeeded(snakemake(folder, path, "--cores", "2", "benchmarks"))
    assert {"prepare_pool", "extract_features", "finetune_model"} <= jobs(output)
    rules = read_jobs(succeeded(snakemake(folder, path, "-n", "-p", "--forceall", "benchmarks")))
    assert {"prepare_pool", "extract_features", "finetune_model"} <= set(rules)
    real = {rule: len(found) * measure(found, 1, 1).disk / 1e9 for rule, found in rules.items()}
    for rule, size in real.items():
        assert size > 0 and abs(table.loc[rule, "disk_gb"] / size - 1) < 0.25, rule
    planned_size = table.loc[list(real), "disk_gb"].sum()
    assert abs(planned_size / sum(real.values()) - 1) < 0.03
    assert "Nothing to be done" in succeeded(plan(folder, path))


def test_finished_files_that_are_given_leave_nothing_to_try(tmp_path, mini_input):
    shutil.copytree(mini_input / "data", tmp_path / "data")
    config = yaml.safe_load(MINI.read_text()) | {"given": ["features"]}
    done = plan(tmp_path, write(tmp_path, config))
    assert (
        done.returncode
        and "trial: this run takes finished files (given: ['features'])" in done.stdout
    )
    done = plan(tmp_path, write(tmp_path, {"run": "tables", "cached": True}))
    assert done.returncode and "trial: this run takes finished files (cached" in done.stdout


def test_without_models_jobs_are_counted_and_downloads_named(mini_input, tmp_path):
    shutil.copytree(mini_input / "data", tmp_path / "data")
    config = yaml.safe_load(MINI.read_text())
    config["models"]["target"] = {"path": "some/model", "revision": "a" * 40}
    done = plan(tmp_path, write(tmp_path, config))
    assert done.returncode
    assert f"hf download some/model --revision {'a' * 40}" in done.stdout
    assert re.search(r"^ *finetune_model +10 +cpu$", done.stdout, re.MULTILINE)
    assert not (tmp_path / "results").exists()


WEEKS = 14 * 24  # hours
FEASIBLE = {"llava_665k_one_card": (1, 13), "llava_665k_eight_cards": (8, 75)}  # cards, trainings


@pytest.mark.parametrize("name", FEASIBLE)
def test_what_is_to_be_feasible_in_two_weeks_is_by_arithmetic(name, tmp_path):
    config, (cards, trainings) = ROOT / f"configs/{name}.yaml", FEASIBLE[name]
    stand_in(tmp_path, yaml.safe_load(config.read_text()))
    device = ("--device", "a100-80g", "--cards", cards, "--samples", 665_298)
    output = succeeded(plan(tmp_path, config, *device))
    table = pd.read_csv(tmp_path / f"results/{name}/plan_a100-80g.csv", index_col="stage")
    assert set(table["device"]) == {"gpu"} and set(table["estimate"]) == {"arithmetic"}
    assert table.loc["finetune_model", "jobs"] == trainings
    assert cards * WEEKS / 2 < table["hours"].sum() < cards * WEEKS
    assert (table["memory_gb"] < 80).all() and "MORE than" not in output
    assert "ESTIMATES by arithmetic for 665,298 samples on a100-80g" in output
    assert f"days on {cards}" in output


def test_every_rule_that_asks_for_a_gpu_is_estimated_for_a_device(tmp_path):
    """One ratio and seed have every rule that seven and three have."""
    config = yaml.safe_load(LLAVA.read_text()) | {"ratios": [0.2], "seeds": [0]}
    stand_in(tmp_path, config)
    path = write(tmp_path, config)
    output = succeeded(plan(tmp_path, path, "--device", "rtx4090-24g", "--samples", 665_298))
    table = pd.read_csv(tmp_path / "results/llava_665k/plan_rtx4090-24g.csv", index_col="stage")
    assert set(table["device"]) == {"gpu"} and len(table) > 10 and "NOT estimated" not in output
    assert re.search("MORE than the 24 GB of the card: .*collect_gradients", output)
    done = plan(tmp_path, LLAVA, "--device", "tpu")
    assert done.returncode and "no device 'tpu' in configs/devices.yaml" in done.stdout


def test_who_has_no_files_is_told_which(tmp_path):
    done = snakemake(tmp_path, LLAVA, "-n")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    for task in ("vqav2", "gqa", "vizwiz", "scienceqa", "textvqa", "pope", "mme", "mmbench_cn"):
        assert f"tasks.{task}.build: no file 'data/eval/" in done.stdout
    stand_in(tmp_path, yaml.safe_load(LLAVA.read_text()))
    (tmp_path / "data/llava_v1_5_mix665k.json").unlink()
    done = snakemake(tmp_path, LLAVA, "-n")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert "data/llava_v1_5_mix665k.json" in done.stdout
