"""Cost of a method: the jobs behind its subsets, and no others."""

import json
import re
import shlex

import pytest
import yaml
from running import HERE, ROOT, copy_program, jobs, snakemake, stand_in, succeeded

METHODS = sorted(path.stem for path in (ROOT / "rules/methods").glob("*.smk"))
FREE = {"prepare_pool", "prepare_task"}
FREE |= {"check_samples", "check_tasks", "list_refused", "admit_samples"}
COSTS = "results/mini/costs/"
BLOCK = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)
LINE = re.compile(r"^    (\w+): (.*)$", re.MULTILINE)
LIMITS = {"duplicates": {"model": "target", "kind": "last_token", "cosine": 0.9}}


def every_method(**changes):
    """The mini config with all methods on different models, and other models' features too."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text()) | {"methods": {}}
    for name in METHODS:
        config["methods"][name] = {}
    config["models"] |= {name: dict(config["models"]["target"]) for name in ("reference", "clip")}
    config["methods"]["perplexity"] = {"model": "target"}
    config["methods"]["el2n"] = {"model": "clip"}
    config["experiments"] = {"main": {"methods": METHODS, "models": ["target"]}}
    return config | changes


def planned(tmp_path, config, *targets):
    """Return each job of a dry run as its rule and its printed lines."""
    stand_in(tmp_path, config)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    output = succeeded(snakemake(tmp_path, path, "-n", "-p", *targets))
    blocks = [(rule, dict(LINE.findall(text))) for rule, text in BLOCK.findall(output)]
    assert {rule for rule, _ in blocks} == jobs(output)
    found = re.search(r"^Shell command: python \S*tabulate_costs\.py .*$", output, re.MULTILINE)
    words = shlex.split(found[0])
    groups = json.loads(words[words.index("--selections") + 1])
    return blocks, {subset: files for subsets, files in groups for subset in subsets}


def charged(selections, subset):
    """Return the cost files that a subset is charged for, expanded."""
    label = subset.rpartition("/")[2]
    found = set()
    for name in selections[subset]:
        name = name.replace("{subset}", label)
        shards = re.search(r"\*-of-(\d+)$", name)
        numbers = range(1, int(shards[1]) + 1) if shards else [0]
        found |= {f"{COSTS}{name.replace('*', str(number))}.jsonl" for number in numbers}
    return found


def behind(blocks, path):
    """Return the cost files of the jobs behind a file, by the inputs and outputs printed."""
    makers = {out: job for job in blocks for out in job[1].get("output", "").split(", ")}
    found, waiting, seen = set(), [path], set()
    while waiting:
        rule, printed = makers.get(waiting.pop(), ("", {}))
        if rule in FREE or printed.get("jobid") in seen or not rule:
            continue
        seen.add(printed["jobid"])
        found.add(printed["benchmark"])
        waiting += printed["input"].split(", ")
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The jobs of all methods, and the cost files of each subset."""
    return planned(tmp_path_factory.mktemp("plain"), every_method())


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """The same without near-duplicates, with a gate and a budget in tokens."""
    config = every_method(constraints=LIMITS, gate={}, tokens=[2000])
    del config["ratios"]
    return planned(tmp_path_factory.mktemp("limited"), config)


@pytest.mark.parametrize("which", ["plain", "limited"])
def test_every_method_is_charged_for_the_jobs_behind_its_subsets(which, request):
    blocks, selections = request.getfixturevalue(which)
    assert {subset.partition("/")[0] for subset in selections} == set(METHODS)
    for subset in selections:
        expected = behind(blocks, f"results/mini/subsets/{subset}.parquet")
        assert expected and charged(selections, subset) == expected, subset


def rules_and_models(selections, method):
    """Return the first two parts of the names of a method's cost files."""
    return {
        "/".join(name.split("/")[:2])
        for subset, files in selections.items()
        for name in files
        if subset.startswith(f"{method}/")
    }


def test_models_and_proxies_are_charged_to_those_that_use_them(plain):
    blocks, selections = plain
    made = {p["benchmark"].split("/")[4] for rule, p in blocks if rule == "extract_features"}
    assert made == {"target", "reference", "clip"}
    models = {"coincide": "reference", "perplexity": "target", "el2n": "clip"}
    for method, model in models.items():
        found = rules_and_models(selections, method)
        assert [n for n in found if n.startswith("extract_")] == [f"extract_features/{model}"]
    assert "extract_attention/target" in rules_and_models(selections, "scalselect")
    assert "warm_up/gradients" in rules_and_models(selections, "icons")
    score_net = rules_and_models(selections, "self_filter")
    assert "extract_clip/clip" in score_net
    assert any(n.startswith("train_score_net/") for n in score_net)
    assert rules_and_models(selections, "random") == {"select_random/{subset}"}


def test_what_constraints_and_gate_look_at_is_charged_to_who_keeps_them(limited):
    found = {"/".join(n.split("/")[:2]) for n in limited[1]["random/tokens-2000_seed-0"]}
    looked_at = {"extract_features/target", "find_near_duplicates/all"}
    gated_by = {"warm_up/gradients", "collect_gradients/gradients"}
    gated_by |= {"collect_validation_gradients/gradients", "gate_samples/seed-0"}
    assert found == {"select_random/{subset}"} | looked_at | gated_by
    assert limited[1]["full/ratio-1.0_seed-0"] == ["select_full/{subset}"]


def test_a_proxy_is_charged_to_what_goes_by_it_and_gradients_are_not(tmp_path):
    """Of its own model; and a fixed seed gives all runs one warm-up."""
    config = every_method(proxy={"model": "reference", "warm_up": {"seed": 3}}, seeds=[0, 1])
    methods = {name: config["methods"][name] for name in ("random", "icons", "clean_shares")}
    config |= {"methods": methods, "experiments": {"main": {"methods": [*methods]}}}
    _, selections = planned(tmp_path, config)
    passes = ("warm_up", "collect_gradients", "collect_validation_gradients")
    for seed in (0, 1):
        found = {method: selections[f"{method}/ratio-0.2_seed-{seed}"] for method in methods}
        assert found["random"] == ["select_random/{subset}"]
        for name in passes:
            own = [n for n in found["icons"] if n.startswith(f"{name}/")]
            assert own and all(f"/gradients/target/seed-{seed}" in n for n in own)
            own = [n for n in found["clean_shares"] if n.startswith(f"{name}/")]
            assert own and all("/proxy/reference/seed-3" in n for n in own)
    _, selections = planned(tmp_path, config | {"gate": {}})
    behind = selections["random/ratio-0.2_seed-1"]
    assert {n.split("/")[1] for n in behind if n.split("/")[0] in passes} == {"proxy"}


def test_what_is_given_has_a_cost_that_is_not_known(tmp_path):
    config = every_method(given=["pool", "features"])
    kinds = ("activations", "last_token", "mean_hidden", "likelihood", "attended", "visual", "clip")
    kinds += ("gains", "question", "instruction_gains", "bridging", "neurons")
    for model in config["models"]:
        for kind in kinds:
            for shard in (1, 2, 3):
                path = tmp_path / f"results/mini/features/{model}/{kind}"
                path.mkdir(parents=True, exist_ok=True)
                (path / f"shard-{shard}-of-3.safetensors").touch()
    (tmp_path / "results/mini/pool").mkdir()
    (tmp_path / "results/mini/pool/samples.parquet").touch()
    _, selections = planned(tmp_path, config)
    assert "features" in selections["coincide/ratio-0.2_seed-0"]
    assert selections["random/ratio-0.2_seed-0"] == ["select_random/{subset}"]


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("cuda", 2)])
def test_a_training_in_two_processes_says_so(tmp_path, device, gpus):
    config = every_method()
    for settings in (config["finetune"], config["gradients"]["warm_up"]["finetune"]):
        settings |= {"processes": 2, "gradient_accumulation": 2}
    config["models"]["target"]["device"] = device
    blocks, _ = planned(tmp_path, config)
    for rule in ("finetune_model", "warm_up"):
        resources = [p["resources"].split(", ") for name, p in blocks if name == rule]
        assert resources
        for held in resources:
            assert {"processes=2", f"gpu={gpus}"} <= set(held)


def test_a_list_of_stages_of_earlier_versions_is_refused(tmp_path):
    root = copy_program(tmp_path / "program")
    rules = root / "rules/methods/coincide.smk"
    bare = '"coincide",\n    stages=["extract_features"],'
    rules.write_text(rules.read_text().replace('"coincide",', bare, 1))
    stand_in(tmp_path, every_method())
    done = snakemake(tmp_path, HERE / "mini.yaml", "-n", root=root)
    assert done.returncode != 0
    assert "rules/methods/coincide.smk" in done.stdout and "'stages'" in done.stdout
