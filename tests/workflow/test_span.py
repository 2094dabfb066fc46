"""Methods that compare single validation samples, on gradients stored by their coordinates."""

import numpy as np
import pandas as pd
import pytest
import yaml
from running import HERE, snakemake, succeeded

from vlselect.core.store import ShardedArray

METHODS = {
    "targeted": {"selector": "round_robin"},
    "icons": {"aggregator": "bids"},
    "clean_shares": {},  # by the gradients' model, since there is no proxy
}


@pytest.fixture(scope="module")
def chosen(mini_input):
    """Subsets of one seed, and the folder of the run."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    config["gradients"]["store"] = "influence"
    config |= {"methods": METHODS, "seeds": [0], "experiments": {"main": {"methods": [*METHODS]}}}
    config["pool"]["shards"] = 1
    path = mini_input / "span.yaml"
    path.write_text(yaml.safe_dump(config | {"run": "span"}), encoding="utf-8")
    succeeded(snakemake(mini_input, path, "--cores", "2", "subsets"))
    results = mini_input / "results/span"
    files = results.glob("subsets/*/ratio-0.2_seed-0.parquet")
    return {file.parent.name: pd.read_parquet(file) for file in files}, results


def test_each_of_them_chooses(chosen):
    subsets, _ = chosen
    assert set(subsets) == set(METHODS)
    assert len({len(subset) for subset in subsets.values()}) == 1
    assert all(subset["row"].is_unique and len(subset) for subset in subsets.values())


def test_the_first_turns_go_to_the_nearest_in_the_span(chosen):
    subsets, results = chosen
    folder = results / "gradients/target/seed-0"
    pool = ShardedArray(folder.glob("pool/*.safetensors"))[:].astype(np.float64)
    taken = set()
    for task in yaml.safe_load((results.parent.parent / "span.yaml").read_text())["tasks"]:
        files = folder.glob(f"span/{task}/*.safetensors")
        first = ShardedArray(files)[0:1][0].astype(np.float64)
        nearest = next(row for row in np.argsort(-(pool @ first)) if row not in taken)
        taken.add(int(nearest))
    assert taken <= set(subsets["targeted"]["row"])
