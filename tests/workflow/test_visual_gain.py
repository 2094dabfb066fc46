"""Methods on what images add to predictions: each runs the passes that it reads, and no others."""

import pytest
import yaml
from running import HERE, jobs, snakemake, stand_in, succeeded

PASSES = {
    *("extract_features", "extract_attention", "extract_clip", "extract_hidden"),
    *("extract_gains", "extract_instruction_gains", "extract_signatures"),
    *("warm_up", "collect_gradients"),
}
FOUR = {"extract_features", "extract_instruction_gains"}
READ = {
    "el2n": ({}, {"extract_features"}),
    "visnec": ({}, {"extract_gains"}),
    "dics": ({}, FOUR),
    "dics by clusters": (
        {"sampler": "clusters"},
        {"extract_features", "extract_instruction_gains"},
    ),
    "magic": ({}, {"extract_gains", "extract_signatures"}),
}


def plan(folder, methods):
    """Dry-run the mini config with these methods, on another model than the first."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    config["methods"] = {name: {"model": "small"} | own for name, own in methods.items()}
    config["experiments"] = {"main": {"methods": [*methods]}}
    config["models"]["small"] = {"path": "data/small"}
    stand_in(folder, config)
    path = folder / "gains.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return succeeded(snakemake(folder, path, "-n", "-p", "subsets"))


@pytest.mark.parametrize("case", READ)
def test_a_method_runs_what_it_reads(tmp_path, case):
    own, passes = READ[case]
    output = plan(tmp_path, {case.partition(" ")[0]: own})
    made = jobs(output)
    assert made & PASSES == passes
    assert ("cluster_dics" in made) == (case == "dics by clusters")
    for name in passes:  # three shards, once for both seeds: nothing in them is random
        assert output.count(f"rule {name}:") == 3
    assert "features/target" not in output
    assert ("--token-weights content " in output) == ("extract_instruction_gains" in passes)


def test_a_pass_is_shared(tmp_path):
    output = plan(tmp_path, {"visnec": {}, "magic": {}})
    assert output.count("rule extract_gains:") == 3 and "--layers" not in output
    layers = plan(tmp_path, {"magic": {"layers": [1, 3], "neurons": [1, 2]}})
    assert "--layers 1 3 --bridging" in layers and "--attention eager" in layers
