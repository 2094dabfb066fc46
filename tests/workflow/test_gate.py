"""The gate through the workflow: from the gradients that are there, for any method and seed."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from running import HERE, jobs, snakemake, succeeded

from vlselect.core.store import ShardedArray

PASSES = {"check_samples", "warm_up", "collect_gradients", "collect_validation_gradients"}


@pytest.fixture(scope="module")
def gated(mini_run, tmp_path_factory):
    """Subsets of the mini run's pool, with its gradients and a gate; both seeds."""
    folder = tmp_path_factory.mktemp("gated")
    given = ["pool", "tasks", "gradients"]
    methods = {"full": {}, "random": {}, "targeted": {}}
    config = mini_run.begin(folder, given, given, methods=methods, gate={"share": 0.3})
    return folder / "results/mini", succeeded(snakemake(folder, config, "--cores", "2", "subsets"))


def test_only_gate_and_subsets_are_made(gated):
    chosen = {"select_full", "select_random", "select_targeted"}
    assert jobs(gated[1]) == {"gate_samples", "subsets"} | chosen


@pytest.mark.parametrize("seed", [0, 1])
def test_no_method_chooses_what_its_seed_gates(gated, seed):
    results, _ = gated
    gate = pd.read_parquet(results / f"gate/seed-{seed}.parquet").set_index("row")
    assert set(gate["group"]) <= {"alpha", "beta"} and len(gate) == 330
    for _, group in gate.groupby("group"):
        assert group["gated"].sum() == int(0.3 * len(group) + 0.5)
        worst = group.loc[~group["gated"], "loss"].max()
        assert not group["gated"].any() or group.loc[group["gated"], "loss"].min() >= worst
    out = set(gate.index[gate["gated"]])
    for method in ("random", "targeted"):
        name = f"{method}/ratio-0.2_seed-{seed}"
        table = pd.read_parquet(results / f"subsets/{name}.parquet")
        assert len(table) == 66 and not out & set(table["row"])
        assert table.attrs["gated"] == len(out)
        log = (results / f"logs/select_{name}.log").read_text(encoding="utf-8")
        assert f"66 samples chosen; 0 could not be: refused by a model; {len(out)} are gated" in log
    assert len(pd.read_parquet(results / f"subsets/full/ratio-1.0_seed-{seed}.parquet")) == 330


def test_seeds_have_gates_of_their_own(gated):
    first, second = (pd.read_parquet(gated[0] / f"gate/seed-{s}.parquet") for s in (0, 1))
    assert (first["loss"] != second["loss"]).any()


def test_a_gate_on_a_finished_run_repeats_no_pass(mini_run, tmp_path):
    config = yaml.safe_load(mini_run.config.read_text(encoding="utf-8")) | {"gate": {}}
    path = tmp_path / "gate.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    dry = snakemake(mini_run.folder, path, "-n", "subsets", root=mini_run.root)
    made = jobs(succeeded(dry))
    assert "gate_samples" in made and not made & PASSES
    assert {"select_random", "select_icons", "select_coincide", "check_budgets"} <= made
    assert "select_full" not in made


def test_a_budget_that_the_gate_leaves_no_room_for_ends_the_run_early(mini_run, tmp_path):
    given = ["pool", "tasks", "gradients"]
    methods, gate = {"random": {}}, {"share": 0.85}
    config = mini_run.begin(tmp_path, given, given, methods=methods, gate=gate)
    (tmp_path / "results/mini/pool/budgets.json").unlink()  # of the run without a gate
    done = snakemake(tmp_path, config, "--cores", "1", "results/mini/pool/budgets.json")
    assert done.returncode and "ratio-0.2: 66 samples are wanted, the gate leaves 50" in done.stdout


def test_a_warm_up_of_all_weights_needs_a_forward_pass_alone(mini_input, tmp_path):
    """What an adapter's gradients do for gate and turns, hidden states of a whole model do too."""
    shutil.copytree(mini_input / "data", tmp_path / "data")
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    methods, settings = {"random": {}, "icons": {}, "clean_shares": {}}, {"adapter": "none"}
    warm_up = {"fraction": 0.2, "finetune": settings | {"batch_size": 8, "learning_rate": 1e-3}}
    config["gradients"] = {"model": "target", "representation": "hidden", "warm_up": warm_up}
    config |= {"methods": methods, "experiments": {"main": {"methods": [*methods]}}}
    config |= {"gate": {}, "seeds": [0], "pool": config["pool"] | {"shards": 1}}
    path = tmp_path / "whole.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    output = succeeded(snakemake(tmp_path, path, "--cores", "2", "-p", "subsets"))
    assert output.count("--representation hidden --positions all") == 2  # pool and tasks
    assert {"warm_up", "collect_gradients", "gate_samples", "select_icons"} <= jobs(output)
    results = tmp_path / "results/mini"
    assert (results / "gradients/target/seed-0/warm_up/model.safetensors").is_file()
    out = set(pd.read_parquet(results / "gate/seed-0.parquet").query("gated")["row"])
    for method in methods:
        table = pd.read_parquet(results / f"subsets/{method}/ratio-0.2_seed-0.parquet")
        assert len(table) == 66 and not out & set(table["row"])


def test_gate_and_clean_shares_go_by_the_proxy_where_there_is_one(mini_input, mini_run, tmp_path):
    """And the gradients that are there stay what they are, for those that read them."""
    shutil.copytree(mini_input / "data", tmp_path / "data")
    given = ["pool", "tasks", "features", "gradients", "influence", "votes"]
    settings = {"adapter": "none", "batch_size": 8, "learning_rate": 1e-3}
    proxy = {"model": "target", "warm_up": {"fraction": 0.2, "finetune": settings, "seed": 4}}
    methods = {"random": {}, "icons": {}, "clean_shares": {}}
    config = mini_run.begin(tmp_path, given, given, methods=methods, gate={}, proxy=proxy)
    made = jobs(output := succeeded(snakemake(tmp_path, config, "--cores", "2", "-p", "subsets")))
    assert made == {
        *("warm_up", "collect_gradients", "collect_validation_gradients", "gate_samples"),
        *(f"select_{method}" for method in methods),
        "subsets",
    }
    assert "--representation hidden --positions prompt" in output
    results = tmp_path / "results/mini"
    gate, card = pd.read_parquet(results / "gate/seed-4.parquet"), "random/ratio-0.2_seed-0.md"
    losses = ShardedArray(sorted(results.glob("proxy/target/seed-4/losses/*.safetensors")))[:]
    np.testing.assert_array_equal(gate["loss"], losses)
    out = set(gate.index[gate["gated"]])
    for method in methods:
        for seed in (0, 1):
            table = pd.read_parquet(results / f"subsets/{method}/ratio-0.2_seed-{seed}.parquet")
            assert len(table) == 66 and not out & set(table["row"])
    succeeded(snakemake(tmp_path, config, "--cores", "2", f"results/mini/subsets/{card}"))
    text = (results / f"subsets/{card}").read_text(encoding="utf-8")
    assert '"proxy": {' in text and '"gradients": {' not in text
