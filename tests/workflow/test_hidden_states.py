"""`targeted` by hidden states: forward passes of pool and validation samples, and no gradients."""

import json
import re
import shlex

import yaml
from running import HERE, jobs, snakemake, stand_in, succeeded


def plan(folder, **targeted):
    """Dry-run the mini config with this one method and no section `gradients`."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    config["methods"] = {"targeted": {"representation": "hidden"} | targeted}
    config["experiments"] = {"main": {"methods": ["targeted"]}}
    config["models"]["small"] = {"path": "data/small"}
    del config["gradients"]
    stand_in(folder, config)
    path = folder / "hidden.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return snakemake(folder, path, "-n", "-p", "subsets", "results/mini/tables/cost.csv")


def test_it_needs_neither_warm_up_nor_gradients(tmp_path):
    output = succeeded(plan(tmp_path, model="small"))
    passes = {"extract_hidden", "extract_validation_hidden", "check_samples", "check_tasks"}
    made = jobs(output)
    assert passes | {"select_targeted"} <= made
    assert not made & {"warm_up", "collect_gradients", "compute_influence", "extract_features"}
    # three shards and all validation sets once, for two seeds: nothing in them is random
    assert output.count("rule extract_hidden:") == 3
    assert output.count("rule extract_validation_hidden:") == 1
    assert "features/small/hidden_validation/beta/shard-1-of-1.safetensors" in output
    assert "features/target/hidden" not in output  # the first model, which is not asked for
    (costs,) = re.findall(r"^Shell command: python \S*tabulate_costs\.py .*$", output, re.MULTILINE)
    words = shlex.split(costs)
    ((_, charged),) = json.loads(words[words.index("--selections") + 1])
    own = ["extract_hidden/small/*-of-3", "extract_validation_hidden/small"]
    assert charged == [*own, "select_targeted/{subset}"]


def test_it_has_no_influence_to_go_by(tmp_path):
    done = plan(tmp_path, selector="round_robin_tasks")
    assert done.returncode and "methods.targeted.selector: round_robin_tasks goes by" in done.stdout
