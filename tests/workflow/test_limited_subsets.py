"""Constraints and budgets in samples and tokens, through the workflow, for several methods."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from running import HERE, jobs, snakemake, succeeded

METHODS = ["random", "coincide", "semdedup"]
TOKENS = 3000
BUDGETS = ["ratio-0.2", "samples-40", f"tokens-{TOKENS}"]
KEEP, EXCLUDE = ["pool-007", "pool-123"], [f"pool-{i:03d}" for i in range(200, 260)]


@pytest.fixture(scope="module")
def limited(mini_input, tmp_path_factory):
    """Run the mini config with constraints; return the folder of its results and the output."""
    folder = tmp_path_factory.mktemp("limited")
    shutil.copytree(mini_input / "data", folder / "data")
    # counting tokens needs no weights: this copy has none
    shutil.copytree(folder / "data/model", folder / "data/counter")
    (folder / "data/counter/model.safetensors").unlink()
    (folder / "keep.json").write_text(json.dumps(KEEP), encoding="utf-8")
    (folder / "exclude.txt").write_text("\n".join(EXCLUDE), encoding="utf-8")
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    config |= {
        "samples": [40],
        "tokens": [TOKENS],
        "seeds": [0],
        "token_model": "counter",
        "constraints": {
            "keep": "keep.json",
            "exclude": "exclude.txt",
            "minimum": {"charts": 0.5},
            "quota": {"chats": 5},
            "duplicates": {"model": "target", "cosine": 0.999},
        },
        "experiments": {"main": {"methods": METHODS}},
    }
    config["pool"]["shards"] = 1
    config["models"]["counter"] = {"path": "data/counter"}
    config["methods"] |= {"semdedup": {"model": "target", "n_clusters": 6}}
    del config["gradients"], config["methods"]["icons"], config["methods"]["scalselect"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    wanted = ["subsets", "results/mini/tables/budgets.csv", "results/mini/figures/overlap.svg"]
    done = snakemake(folder, folder / "config.yaml", "--cores", "2", *wanted)
    return folder / "results/mini", succeeded(done)


def test_only_what_is_asked_for_is_made(limited):
    _, output = limited
    made = {"prepare_pool", "extract_features", "find_near_duplicates", "check_samples"}
    made |= {"list_refused", "admit_samples", "accept_pool"}
    made |= {"cluster_activations", "summarise_clusters", "score_semdedup"}
    made |= {"check_budgets"} | {f"select_{method}" for method in METHODS}
    made |= {"subsets", "tabulate_budgets", "tabulate_subsets", "plot_overlap"}
    assert jobs(output) == made


def test_figures_name_budgets_as_the_config_does(limited):
    results, _ = limited
    drawn = (results / "figures/overlap.svg").read_text(encoding="utf-8")  # texts in comments
    assert all(f"<!-- {name} -->" in drawn for name in ("20 %", "40 samples", "3,000 tokens"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", BUDGETS)
def test_every_subset_keeps_the_constraints(limited, method, budget):
    results, _ = limited
    pool = pd.read_parquet(results / "pool/samples.parquet")
    subset = pd.read_parquet(results / f"subsets/{method}/{budget}_seed-0.parquet")
    records = json.loads((results / f"subsets/{method}/{budget}_seed-0.json").read_text())
    n, ids = len(subset), set(subset["sample_id"])
    assert [record["id"] for record in records] == subset["sample_id"].tolist()
    assert sorted(subset["rank"]) == list(range(1, n + 1))
    assert set(KEEP) <= ids and not set(EXCLUDE) & ids
    assert set(subset["sample_id"][subset["reason"] == "keep"]) == set(KEEP)
    counts = pool["source"][subset["row"]].value_counts()
    assert counts["charts"] >= n / 2 and counts["chats"] == 5
    pairs = pd.read_parquet(results / "duplicates.parquet")
    assert len(pairs) and pairs.attrs["recall"] == 1
    assert not (pairs["row_a"].isin(subset["row"]) & pairs["row_b"].isin(subset["row"])).any()
    assert not pool["digest"][subset["row"]].duplicated().any()
    if budget.startswith("tokens-"):
        assert TOKENS - 60 < subset["tokens"].sum() <= TOKENS
    else:
        assert n == {"ratio-0.2": 66, "samples-40": 40}[budget] and "tokens" not in subset


def test_tables_know_each_budget_by_its_share(limited):
    results, _ = limited
    shards = (results / "features/counter/checked").glob("*.parquet")
    tokens = pd.concat([pd.read_parquet(path) for path in shards]).sort_values("row")
    assert tokens["row"].tolist() == list(range(330)) and (tokens["response_tokens"] > 0).all()
    budgets = pd.read_csv(results / "tables/budgets.csv").set_index("budget")
    assert list(budgets.index) == BUDGETS
    shares = [0.2, 40 / 330, TOKENS / tokens["tokens"].sum()]
    np.testing.assert_allclose(budgets["ratio"], shares, atol=1e-6)
    overlap = pd.read_csv(results / "tables/subset_overlap.csv")
    assert set(overlap["ratio"]) == set(budgets["ratio"])
