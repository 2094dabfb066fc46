"""The plan command on the mini config, with its models and without, and LLaVA-665K's dry run."""

import re
import shutil

import pandas as pd
import pytest
import yaml
from running import HERE, ROOT, snakemake, stand_in, succeeded

MINI, LLAVA = HERE / "mini.yaml", ROOT / "configs/llava_665k.yaml"
RUNS = 11 * 7 * 3 + 3  # methods, ratios, seeds; and full


def plan_of(folder, config=MINI, **environment):
    """Run the command; return its output and the table."""
    flags = ("--cores", "1", "--quiet", "rules", "reason", "--", "plan")
    done = snakemake(folder, config, *flags, **environment)
    run = yaml.safe_load(config.read_text())["run"]
    output = succeeded(done)
    return output, pd.read_csv(folder / f"results/{run}/plan.csv", index_col="stage")


@pytest.fixture(scope="module")
def planned(mini_input, tmp_path_factory):
    """The folder after a plan, what it printed, and its table."""
    folder = tmp_path_factory.mktemp("planned")
    shutil.copytree(mini_input / "data", folder / "data")
    return folder, *plan_of(folder)


def test_every_stage_has_hours_and_disk_before_anything_has_run(planned):
    folder, output, table = planned
    made = {path.name for path in (folder / "results/mini").iterdir()}
    assert made == {"costs", "logs", "plan", "plan.csv", "tasks"}
    assert table["hours"].notna().all() and table["disk_gb"].notna().all()
    assert (table["hours"] > 0).all() and table["memory_gb"].gt(0).any()
    assert table.loc["finetune_model/target", "jobs"] == 5 * 2
    assert table.loc["run_benchmarks/target", "jobs"] == 5 * 2 + 1
    assert {"measured", "reckoned"} == set(table["basis"])
    for text in ("333 records", "largest, hours:", "cpu-hours; measured on", "lead to the subsets"):
        assert text in output


def test_sizes_are_those_of_a_real_run(planned, mini_run):
    _, _, table = planned
    kinds = {
        "extract_features/target": ["activations", "last_token", "mean_hidden", "likelihood"],
        "extract_attention/target": ["attended"],
    }
    for stage, folders in kinds.items():
        files = [p for k in folders for p in (mini_run.results / "features/target" / k).iterdir()]
        assert_close(table.loc[stage, "disk_gb"], files, slack=1024)
    pool = list((mini_run.results / "gradients/target").glob("seed-*/pool/*"))
    assert_close(table.loc["collect_gradients/target", "disk_gb"], pool, slack=1024)
    checkpoints = [p for p in (mini_run.results / "checkpoints").rglob("*") if p.is_file()]
    assert_close(table.loc["finetune_model/target", "disk_gb"], checkpoints, share=0.3)


def assert_close(gigabytes, files, slack=0, share=0.1):
    """The plan's size is that of the files, but for a header each and a share.

    The plan counts three records that the pool rejects.
    """
    real = sum(path.stat().st_size for path in files)
    assert real > 0 and abs(gigabytes * 1e9 - real) <= share * real + slack * len(files)


def test_without_models_jobs_and_disk_are_told_and_time_is_not(mini_input, tmp_path):
    shutil.copytree(mini_input / "data", tmp_path / "data")
    snapshot = tmp_path / f"hub/models--some--model/snapshots/{'a' * 40}"
    snapshot.mkdir(parents=True)
    shutil.move(tmp_path / "data/model/config.json", snapshot)  # it says how wide features are
    config = yaml.safe_load(MINI.read_text())
    config["models"]["target"] = {"path": "some/model", "revision": "a" * 40}
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(config))
    output, table = plan_of(tmp_path, path, HF_HUB_CACHE=str(tmp_path / "hub"))
    assert f"hf download some/model --revision {'a' * 40}" in output
    assert table["hours"].isna().all() and table.loc["finetune_model/target", "jobs"] == 10
    width, layers = 32, 2
    features = 2 * layers * width + 2 * width
    assert table.loc["extract_features/target", "disk_gb"] * 1e9 == 333 * (2 * features + 4 * 3)
    assert table.loc["collect_gradients/target", "disk_gb"] * 1e9 == 2 * 333 * 128 * 2


def job_counts(output):
    """Jobs of each rule, from the table that a dry run prints."""
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def test_llava_665k_has_a_whole_dag(tmp_path):
    stand_in(tmp_path, yaml.safe_load(LLAVA.read_text()))
    output = succeeded(snakemake(tmp_path, LLAVA, "-n", "--quiet", "rules"))
    counts = job_counts(output)
    methods = yaml.safe_load(LLAVA.read_text())["methods"]
    assert {path.stem for path in (ROOT / "rules/methods").glob("*.smk")} == set(methods)
    for method in set(methods) - {"full"}:
        assert counts[f"select_{method}"] == 21
    assert counts["finetune_model"] == counts["run_benchmarks"] == RUNS
    for rule in ("extract_features", "extract_attention", "extract_clip"):
        assert counts[rule] == 64
    assert counts["collect_gradients"] == 3 * 64 and counts["warm_up"] == 3  # each seed its own
    assert counts["prepare_task"] == 10


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
