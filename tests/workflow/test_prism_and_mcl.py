"""`prism` and `mcl` through the workflow: a pass that ends early, and no pass at all."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from mini_input import N_GOOD
from running import HERE, jobs, snakemake, succeeded

from vlselect.core.store import ShardedArray

METHODS = ("prism", "mcl")
POOL = {"prepare_pool", "check_budgets", "accept_pool"}


def write_config(folder, methods, **more):
    """Write the mini config with these methods alone."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    config |= {"methods": methods, "experiments": {"main": {"methods": [*methods]}}} | more
    del config["gradients"]
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(mini_input, tmp_path_factory):
    """Run both methods; return the folder of the results and the output."""
    folder = tmp_path_factory.mktemp("early")
    shutil.copytree(mini_input / "data", folder / "data")
    methods = {"prism": {"layer": 2}, "mcl": {"pairs": True}}
    path = write_config(folder, methods, constraints={"minimum": {"charts": 0.5}})
    done = snakemake(folder, path, "--cores", "2", "subsets")
    return folder / "results/mini", succeeded(done)


def test_prism_runs_one_early_pass_and_scores_once_for_all_seeds(finished):
    results, output = finished
    passes = {"check_samples", "list_refused", "admit_samples", "extract_visual"}
    own = {"score_prism", "select_prism", "extract_concepts", "select_mcl"}
    assert jobs(output) == POOL | passes | own | {"subsets"}
    array = ShardedArray((results / "features/target/visual").glob("*.safetensors"))
    pool = pd.read_parquet(results / "pool/samples.parquet")
    assert array.only("layer") == "2" and len(array) == len(pool) == N_GOOD
    scores = pd.read_parquet(results / "scores/prism/seed-0.parquet")["score"]
    np.testing.assert_array_equal(scores.isna(), pool["n_images"] == 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [0, 1])
def test_subsets_are_exact_and_keep_constraints(finished, method, seed):
    results, _ = finished
    subset = pd.read_parquet(results / f"subsets/{method}/ratio-0.2_seed-{seed}.parquet")
    records = json.loads((results / f"subsets/{method}/ratio-0.2_seed-{seed}.json").read_text())
    sources = pd.read_parquet(results / "pool/samples.parquet")["source"]
    assert len(records) == len(subset) == 66
    assert (sources[subset["row"]] == "charts").sum() >= 33


def test_mcl_needs_no_model(mini_input, tmp_path):
    shutil.copytree(mini_input / "data", tmp_path / "data")
    path = write_config(tmp_path, {"mcl": {}})
    own = {"extract_concepts", "select_mcl", "subsets"}
    assert jobs(succeeded(snakemake(tmp_path, path, "-n", "subsets"))) == POOL | own
