"""`targeted` by what a forward pass shows of pool and validation samples: no gradients."""

import json
import re
import shlex

import pytest
import yaml
from running import HERE, jobs, snakemake, stand_in, succeeded


def plan(folder, representation="hidden", **targeted):
    """Dry-run the mini config with this one method and no section `gradients`."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    config["methods"] = {"targeted": {"representation": representation} | targeted}
    config["experiments"] = {"main": {"methods": ["targeted"]}}
    config["models"]["small"] = {"path": "data/small"}
    del config["gradients"]
    stand_in(folder, config)
    path = folder / "hidden.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return snakemake(folder, path, "-n", "-p", "subsets", "results/mini/tables/cost.csv")


@pytest.mark.parametrize("kind", ["hidden", "output"])
def test_it_needs_neither_warm_up_nor_gradients(tmp_path, kind):
    output = succeeded(plan(tmp_path, kind, model="small"))
    own = ["extract_representation", "extract_validation_representation"]
    passes = {*own, "check_samples", "check_tasks"}
    made = jobs(output)
    assert passes | {"select_targeted"} <= made
    assert not made & {"warm_up", "collect_gradients", "compute_influence", "extract_features"}
    # three shards and all validation sets once, for two seeds: nothing in them is random
    assert output.count("rule extract_representation:") == 3
    assert output.count("rule extract_validation_representation:") == 1
    assert f"features/small/{kind}_validation/beta/shard-1-of-1.safetensors" in output
    assert f"features/target/{kind}" not in output  # the first model, which is not asked for
    (costs,) = re.findall(r"^Shell command: python \S*tabulate_costs\.py .*$", output, re.MULTILINE)
    words = shlex.split(costs)
    ((_, charged),) = json.loads(words[words.index("--selections") + 1])
    jobs_of = [f"{own[0]}/small/{kind}/*-of-3", f"{own[1]}/small/{kind}"]
    assert charged == [*jobs_of, "select_targeted/{subset}"]


def test_it_has_no_influence_to_go_by(tmp_path):
    done = plan(tmp_path, selector="round_robin_tasks")
    assert done.returncode and "methods.targeted.selector: round_robin_tasks goes by" in done.stdout
