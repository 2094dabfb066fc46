"""What a run shows, and what ends it early, so that nothing long is run in vain."""

import re
import shutil

import pytest
import yaml
from running import HERE, ROOT, jobs, snakemake, succeeded

PASSES = ("extract_", "warm_up", "collect_", "finetune", "run_benchmarks")


@pytest.fixture(scope="module")
def begin(mini_input, tmp_path_factory):
    """A function that runs the mini config with changes in one folder, whose pool stays."""
    folder = tmp_path_factory.mktemp("early")
    shutil.copytree(mini_input / "data", folder / "data")

    def run(*flags, profile=None, environment=(), **changes):
        config = yaml.safe_load((HERE / "mini.yaml").read_text())
        for key, value in changes.items():
            *sections, last = key.split("__")
            section = config
            for name in sections:
                section = section[name]
            section[last] = value
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        more = ["--workflow-profile", ROOT / f"profiles/{profile}"] if profile else []
        return snakemake(folder, path, *more, *flags, warm=True, **dict(environment))

    return run


def failed(done):
    """Check that a run ended without a traceback and any pass; return what it printed."""
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert not [rule for rule in jobs(done.stdout) if rule.startswith(PASSES)], jobs(done.stdout)
    assert max(map(len, done.stdout.splitlines())) < 500 and len(done.stdout) < 8000
    return done.stdout


def test_budgets_above_the_pool_end_a_run_before_any_pass(begin):
    said = failed(begin("--cores", "2", samples=[400]))
    complaint = "samples-400: budget samples-400 does not fit a pool of 330 samples"
    assert said.count(complaint) == 2  # when it failed, and at the end
    assert said.index(complaint) < said.rindex(complaint) < said.index("Not finished.")
    quiet = failed(begin("--cores", "2", "--quiet", samples=[400]))
    assert quiet.count(complaint) == 1 and "rule " not in quiet.partition("Error in")[0]
    assert failed(begin("--cores", "2", "--quiet", "all", samples=[400])).count(complaint) == 1


def test_tests_that_cannot_be_scored_end_a_run_before_any_training(begin):
    done = begin("--cores", "1", tasks__alpha__metric="multiple_choice")
    said = failed(done)
    assert "check_tests" in jobs(said) and "'alpha-test-0' has no choices" in said


@pytest.mark.parametrize("share", [0.008, 0.0])
def test_a_pool_that_lost_too_much_ends_a_run(begin, share):
    said = failed(begin("--cores", "1", "--", "subsets", pool__max_rejected=share))
    assert "3 of 333 records were rejected (1 duplicate_id, " in said
    assert "Done." not in said


def test_a_job_is_a_line_and_a_loss_a_warning(begin):
    shares = {"pool__max_rejected": 0.01, "methods": {"random": {}}}
    shares["experiments"] = {"main": {"methods": ["random"]}}
    said = succeeded(begin("--cores", "1", "-R", "select_random", "--", "subsets", **shares))
    lines = said.splitlines()
    assert lines.count("rule select_random: method=random, budget=ratio-0.2, seed=0") == 1
    assert any(re.fullmatch(r"\[[\d:]{8}\] \d+ of \d+ steps \(100%\) done", line) for line in lines)
    assert not re.search("jobid|resources:|input:|Select jobs|Execute", said)
    assert "WARNING: 330 of 333 records are in the pool (rejected: 1 duplicate_id, " in said
    planned = succeeded(begin("-n", "--forceall", "--", "subsets", **shares)).splitlines()
    assert [x for x in planned if "method=random, budget=ratio-0.2, seed=1 (Forced execution)" in x]
    shown = succeeded(begin("-n", "-p", "--forceall", "--", "subsets", **shares))
    assert re.search("(?m)^rule select_random:$", shown) and "Shell command: python " in shown


def test_gpus_that_are_not_there_end_a_run_and_are_a_warning_of_a_dry_run(begin):
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    cuda = {"models__target__device": "cuda", "finetune__processes": 1}
    done = begin("--cores", "1", environment=hidden, **cuda)
    assert done.returncode != 0 and not jobs(done.stdout)
    assert re.search("finetune_model.*: they take 1 GPU.* this machine shows 0", done.stdout)
    for flags in (("-n",), ("-n", "--quiet", "host")):
        for profile in ("default", "slurm"):
            said = succeeded(begin(*flags, profile=profile, environment=hidden, **cuda))
            assert said.count("WARNING: collect_gradients, ") == 1
            assert "finetune_model" in jobs(said)
    auto = {"models__target__device": "auto"}
    for profile, warned in (("default", 0), ("slurm", 1)):
        said = succeeded(begin("-n", profile=profile, environment=hidden, **auto))
        assert said.count("`device: auto` jobs ask the cluster for no GPU") == warned
    # what asks for none is run, and what runs nothing is not asked
    chosen = {"methods": {"random": {}}, "experiments": {"main": {"methods": ["random"]}}, **cuda}
    succeeded(begin("-n", "--", "subsets", environment=hidden, **chosen))
    succeeded(begin("--summary", environment=hidden, **cuda))


def test_a_cache_folder_that_does_not_exist_ends_a_run_before_any_job(begin, tmp_path):
    places = {"SNAKEMAKE_OUTPUT_CACHE": str(tmp_path / "no cache")}
    done = begin("--cores", "1", "--cache", environment=places)
    assert done.returncode != 0 and not jobs(done.stdout) and "Traceback" not in done.stdout
    assert f"mkdir -p '{tmp_path / 'no cache'}'" in done.stdout
    (tmp_path / "no cache").mkdir()
    succeeded(begin("-n", "--cache", environment=places))
