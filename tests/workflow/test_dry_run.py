"""Every shipped config plans its jobs without the heavy libraries; wrong ones stop before that."""

import functools
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import HERE, ROOT, jobs, snakemake, stand_in, succeeded
from warm_python import SNAKEMAKE, warm_python

CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]
CONFIGS.remove(ROOT / "configs/devices.yaml")  # a table for `make plan`
CONFIGS += sorted(HERE.glob("*.yaml"))
LLAVA = ROOT / "configs/llava_665k.yaml"
RUNS = 18 * 7 * 3 + 3  # methods, ratios, seeds; and full
HEAVY = ("torch", "transformers", "peft", "trak", "faiss")
BLOCKER = f'''
import sys

class Blocker:
    """Refuse to import the heavy libraries."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
'''


@pytest.fixture(scope="module")
def blocked(tmp_path_factory):
    """PYTHONPATH with which every Python refuses to import the heavy libraries."""
    folder = tmp_path_factory.mktemp("blocker")
    (folder / "sitecustomize.py").write_text(BLOCKER)
    return str(folder)


@pytest.fixture(scope="module")
def dry_run(blocked, tmp_path_factory):
    """A function that returns what a dry run of a config prints in such a Python, once for each."""
    python = warm_python(*SNAKEMAKE, PYTHONPATH=blocked)

    @functools.cache
    def run(path):
        folder = tmp_path_factory.mktemp(path.stem)
        stand_in(folder, yaml.safe_load(path.read_text()))
        before = set(folder.iterdir())
        chosen = None if path.name == "config.yaml" else path  # the embedded default needs no flag
        output = succeeded(snakemake(folder, chosen, "-n", python=python, PYTHONPATH=blocked))
        assert set(folder.iterdir()) <= before | {folder / ".snakemake"}
        return output

    return run


@pytest.mark.parametrize("library", HEAVY)
def test_the_blocker_blocks(blocked, library, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(f"import {library}")
    environment = {**os.environ, "PYTHONPATH": blocked}
    for python in (sys.executable, warm_python(*SNAKEMAKE, PYTHONPATH=blocked)):
        command = [python, str(program)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and f"{library} is blocked" in done.stderr


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_plans_its_jobs_without_heavy_libraries(path, dry_run):
    config = yaml.safe_load(path.read_text())
    planned = jobs(dry_run(path))
    if config.get("cached"):
        assert len(planned) > 1 and all(r == "all" or r.startswith("plot_") for r in planned)
        return
    assert {"prepare_pool", "tabulate_costs", "plot_composition"} <= planned
    tested = any({"test", "build"} & set(task) for task in config.get("tasks", {}).values())
    assert ("finetune_model" in planned) == tested  # to be scored
    used = {method for entry in config["experiments"].values() for method in entry["methods"]}
    assert {f"select_{method}" for method in used} <= planned
    assert ("pretrain_base" in planned) == ("digits" in config)


def test_llava_665k_has_a_whole_dag(dry_run):
    output = dry_run(LLAVA)
    counts = {n: int(x) for n, x in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}
    methods = yaml.safe_load(LLAVA.read_text())["methods"]
    assert {path.stem for path in (ROOT / "rules/methods").glob("*.smk")} == set(methods)
    for method in set(methods) - {"full"}:
        assert counts[f"select_{method}"] == 21
    assert counts["finetune_model"] == counts["run_benchmarks"] == RUNS
    passes = ("extract_features", "extract_attention", "extract_clip", "extract_gains")
    for rule in (*passes, "extract_visual", "extract_instruction_gains", "extract_signatures"):
        assert counts[rule] == 64
    # For each seed its own, of gradients and of the proxy.
    assert counts["collect_gradients"] == 2 * 3 * 64 and counts["warm_up"] == 2 * 3
    assert counts["prepare_task"] == 10


@pytest.mark.parametrize("trial", [(), ("--config", "trial=100")], ids=["run", "trial"])
def test_scripts_take_what_their_rules_hand_them(tmp_path, trial):
    commands = succeeded(snakemake(tmp_path, None, "-n", "-p", *trial))
    given = []
    for line in re.findall("Shell command: (.*\\.py.*)", commands):
        words = shlex.split(line.partition(" 2> ")[0])
        scripts = (i for i, word in enumerate(words) if word.endswith(".py"))
        script = next(i for i in scripts if Path(words[i]).name != "take_gpus.py")
        given.append((Path(words[script]).stem, words[script + 1 :]))
    for name, argv in given:
        importlib.import_module(name).build_parser().parse_args(argv)
    assert len({name for name, _ in given}) > 30


def mini(**changes):
    return {**yaml.safe_load((HERE / "mini.yaml").read_text()), **changes}


def refused(tmp_path, config):
    """Return Snakemake's output for a config that it must not run."""
    stand_in(tmp_path, config)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    done = snakemake(tmp_path, path, "-c1")
    assert done.returncode != 0 and not jobs(done.stdout)
    assert not (tmp_path / "results").exists()
    assert "The config is not right" in done.stdout and "Traceback" not in done.stdout
    return done.stdout


def test_a_selection_that_runs_no_model_needs_neither_models_nor_tasks(tmp_path):
    config = {key: mini()[key] for key in ("run", "pool", "seeds")}
    config |= {"methods": {"random": {}}, "experiments": {"main": {"methods": ["random"]}}}
    stand_in(tmp_path, config)
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    planned = jobs(succeeded(snakemake(tmp_path, path, "-n")))
    assert {"prepare_pool", "check_budgets", "select_random", "tabulate_costs"} <= planned
    assert not [rule for rule in planned if "model" in rule or "benchmark" in rule]
    assert "tokens: budgets in tokens need a model" in refused(tmp_path, config | {"tokens": [90]})


def test_wrong_keys_and_values_are_named_together(tmp_path):
    config = mini(ratios=[0.2, 1.5], colour="blue")
    config["tasks"]["alpha"]["tset"] = "x.json"
    output = refused(tmp_path, config)
    for name in ("config: unknown key 'colour'", "config.tasks.alpha: unknown key 'tset'"):
        assert name in output
    assert "config.ratios.1: 1.5" in output


def test_all_that_is_wrong_is_said_in_one_run(tmp_path):
    config = mini(ratios=[0.2, 1.5], export=["csv"], constraints={"keep": "data/best.txt"})
    config["tasks"]["alpha"] |= {"metric": "anls", "metric_options": {"treshold": 0.5}}
    config["tasks"]["beta"]["metric_options"] = {"variant": "vqa2"}
    config["tasks"] |= {"gamma": {"test": "data/alpha_test.json", "metric": "accuracy"}}
    config["methods"] |= {
        "icons": {"top_percent": 120},
        "coincide": {"n_clusters": 0},
        "alchemy": {},
    }
    config["models"]["other"] = {"path": "data/none"}
    config["finetune"] |= {"processes": 3}
    config["experiments"]["main"]["models"] = ["target", "nobody"]
    del config["methods"]["scalselect"]["model"]
    stand_in(tmp_path, config)
    (tmp_path / "data/none").rmdir()
    (tmp_path / "data/beta_test.json").unlink()
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    done = snakemake(tmp_path, path, "-n")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    complaints = (
        *("config.ratios.1: 1.5", "export: no format 'csv'", "tasks.gamma.metric: no metric"),
        *("tasks.alpha.metric_options: ", "tasks.beta.metric_options: variant 'vqa2'"),
        *("methods.icons.top_percent: 120", "methods.coincide.n_clusters: 0"),
        *("methods.alchemy: no rules/", "methods.coincide.model: no model 'reference'"),
        *("models.other.path: no directory data/none", "finetune: finetune.processes 3"),
        *("experiments.main.models: no 'nobody'", "tasks.gamma.validation: missing, but"),
        *("tasks.beta.test: no file data/beta_test.json", "constraints.keep: no file data/best"),
    )
    lines = done.stdout.splitlines()
    for complaint in complaints:
        assert len([line for line in lines if line.startswith(complaint)]) == 1, complaint


def test_a_methods_own_keys_and_values_are_named(tmp_path):
    config = mini()
    config["methods"]["icons"] = {"top_percent": 120, "percentage": 5}
    output = refused(tmp_path, config)
    assert "methods.icons: unknown key 'percentage' (did you mean 'top_percent'?); known" in output
    assert "methods.icons.top_percent: 120" in output


def test_a_key_of_an_earlier_version_is_told_its_new_name(tmp_path):
    config = mini()
    config["methods"]["icons"] = {"percentile": 20}
    output = refused(tmp_path, config)
    assert "methods.icons.percentile: is called methods.icons.top_percent now" in output


def test_names_that_mean_nothing_are_named_together(tmp_path):
    config = mini(experiments={"main": {"methods": ["icons", "alchemy"], "models": ["none"]}})
    config["gradients"]["model"] = "nobody"
    config["methods"]["coincide"]["model"] = "reference"
    output = refused(tmp_path, config)
    assert "methods.coincide.model: no model 'reference' in `models`" in output
    assert "gradients.model: no model 'nobody' in `models`" in output
    assert "experiments.main.methods: no 'alchemy' in `methods`" in output
    assert "experiments.main.models: no 'none' in `models`" in output


@pytest.mark.parametrize(
    ("method", "section"),
    [("icons", "gradients"), ("targeted", "gradients"), ("clean_shares", "proxy")],
)
def test_what_a_method_goes_by_is_named(tmp_path, method, section):
    config = mini(methods={method: {}}, experiments={"main": {"methods": [method]}})
    del config["gradients"]
    assert f"{section}: missing, but method {method!r} needs it" in refused(tmp_path, config)


def test_another_mistake_hides_no_proxy(tmp_path):
    """Which is known before a method's parameters are."""
    config = mini(methods={"clean_shares": {"within": 2}}, proxy={"model": "target"})
    config["experiments"] = {"main": {"methods": ["clean_shares"]}}
    del config["gradients"]
    said = refused(tmp_path, config)
    assert "methods.clean_shares.within" in said and "needs it" not in said


def test_a_model_that_a_method_runs_is_named(tmp_path):
    config = mini(methods={"targeted": {"representation": "output"}}, models={})
    config["experiments"] = {"main": {"methods": ["targeted"]}}
    del config["gradients"]
    assert "models: empty, but method 'targeted' runs one" in refused(tmp_path, config)


def test_what_a_method_needs_by_its_rule_file_is_named(tmp_path):
    config = mini()
    config["methods"]["coincide"] = None  # its model is `reference` by default
    del config["tasks"]["beta"]["validation"]
    output = refused(tmp_path, config)
    assert "methods.coincide.model: no model 'reference' in `models`" in output
    assert "tasks.beta.validation: missing, but method 'icons' needs it" in output


def test_a_method_without_rules_is_named(tmp_path):
    config = mini()
    config["methods"] |= {"alchemy": {}, "icon": {}}
    output = refused(tmp_path, config)
    assert "methods.alchemy: no rules/methods/alchemy.smk\n" in output
    assert "methods.icon: no rules/methods/icon.smk (did you mean 'icons'?)\n" in output


def test_settings_of_a_methods_own_training_are_checked_before_any_job(tmp_path):
    config = mini(experiments={"main": {"methods": ["self_filter"]}})
    config["methods"]["self_filter"] = {"finetune": {"batch_size": 1}, "clip": "target"}
    output = refused(tmp_path, config)
    assert "methods.self_filter.finetune.batch_size: 1 is less than the minimum of 2" in output
    config["methods"]["self_filter"]["finetune"] = {"processes": 2, "warmup_ratio": 1}
    output = refused(tmp_path, config)
    for key in ("processes: 1 was expected", "warmup_ratio: 1 is"):
        assert f"methods.self_filter.finetune.{key}" in output


def test_a_model_that_a_method_has_by_default_is_named(tmp_path):
    methods = {"self_filter": {"clip": "other"}}
    config = mini(methods=methods, experiments={"main": {"methods": ["self_filter"]}})
    config |= {"models": {"other": config["models"]["target"]}, "gradients": {"model": "other"}}
    assert "methods.self_filter.model: no model 'target' in `models`" in refused(tmp_path, config)


def test_files_that_are_not_there_are_named_together_by_their_keys(tmp_path):
    config = mini(constraints={"exclude": "data/bad.txt"})
    stand_in(tmp_path, config)
    (tmp_path / "data/beta_test.json").unlink()
    (tmp_path / "data/mixture.json").unlink()
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    done = snakemake(tmp_path, path, "-n")
    assert done.returncode != 0 and "MissingInput" not in done.stdout
    for key in ("pool.records", "tasks.beta.test", "constraints.exclude"):
        assert f"{key}: no file data/" in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("ratios: [0.2]", "ratios: [0.2]\nratios: [0.3]", "the key 'ratios' is in line "),
        ("  alpha: {", "  yes: {", "YAML reads yes as bool"),
    ],
)
def test_keys_that_yaml_would_drop_or_misread_are_refused(tmp_path, before, after, complaint):
    text = (HERE / "mini.yaml").read_text()
    assert text.count(before) == 1
    stand_in(tmp_path, mini())
    path = tmp_path / "my config.yaml"
    path.write_text(text.replace(before, after))
    done = snakemake(tmp_path, path, "-n")
    (line,) = [line for line in done.stdout.splitlines() if complaint in line]
    assert done.returncode != 0 and line.startswith(f"{path}: line ")
    assert "Traceback" not in done.stdout


def test_gradients_in_a_span_wait_for_it(tmp_path):
    config = mini(seeds=[0])
    config["gradients"]["store"] = "influence"
    stand_in(tmp_path, config)
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    output = succeeded(snakemake(tmp_path, path, "-n", "-p", "subsets"))
    commands = re.findall("Shell command: (.*\\.py.*)", output)
    span = r"results/mini/gradients/target/seed-(\d)/span"
    (found,) = (line for line in commands if "find_span.py" in line)
    alpha = f"{span}/alpha/shard-1-of-1.safetensors"
    assert re.search(f"--basis {span}/basis.safetensors --out {alpha}", found)
    pools = [line for line in commands if "collect_gradients.py" in line and "/pool/" in line]
    assert pools and all(re.search(rf"--span {span}/basis.safetensors", line) for line in pools)
    (influence,) = (line for line in commands if "compute_influence.py" in line)
    assert re.search(f"--validation {alpha}", influence)
    (validation,) = (
        line for line in commands if "--precondition none" in line and "/alpha/" in line
    )
    assert "--span" not in validation
