"""Planted copies of held-out records, through the workflow: warned of, taken out, or an error."""

import csv
import json
import re
import shutil

import pandas as pd
import pytest
import yaml
from running import HERE, jobs, snakemake, succeeded

TABLE = "results/mini/tables/contamination.csv"
WANTED = ("--cores", "2", "subsets", TABLE)
PASSES = ("extract_", "collect_", "warm_up", "finetune_", "run_benchmarks", "select_", "check_")


@pytest.fixture
def planted(mini_input, tmp_path):
    """A folder whose pool has copies of held-out records, and a function that runs it.

    Three are of test questions, whose images have another name, two of validation records; the
    test set of beta is its validation set.
    """
    shutil.copytree(mini_input / "data", tmp_path / "data")
    sets = {
        name: json.loads((tmp_path / f"data/{name}.json").read_text())
        for name in ("mixture", "alpha_test", "beta_validation")
    }
    copies = [*sets["alpha_test"][:3], *sets["beta_validation"][:2]]
    for i, copy in enumerate(copies):
        image = shutil.copy(
            tmp_path / "data/images" / copy["image"], tmp_path / f"data/images/c{i}.png"
        )
        sets["mixture"].insert(50 * i, copy | {"id": f"copy-{i}", "image": image.name})
    (tmp_path / "data/mixture.json").write_text(json.dumps(sets["mixture"]))
    shutil.copy(tmp_path / "data/beta_validation.json", tmp_path / "data/beta_test.json")
    config = yaml.safe_load((HERE / "mini.yaml").read_text()) | {"seeds": [0]}
    config |= {"methods": {"full": {}, "random": {}}}
    config |= {"experiments": {"main": {"methods": ["full", "random"]}}}
    del config["gradients"]

    def run(action, *arguments):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config | {"on_contamination": action}))
        return snakemake(tmp_path, path, *arguments)

    return tmp_path, run


def counts(folder):
    with (folder / TABLE).open(newline="") as stream:
        return {(r["task"], r["split"], r["place"]): r for r in csv.DictReader(stream)}


def ids(path):
    return set(pd.read_parquet(path, columns=["sample_id"])["sample_id"])


def test_copies_are_warned_of_or_kept_from_every_method(planted):
    folder, run = planted
    results, copies = folder / "results/mini", {f"copy-{i}" for i in range(5)}
    output = succeeded(run("warn", *WANTED))
    whole, table = ids(results / "pool/samples.parquet"), counts(folder)
    assert copies < whole == ids(results / "subsets/full/ratio-1.0_seed-0.parquet")
    for key, least in {("alpha", "test"): 3, ("beta", "validation"): 2}.items():
        row = table[*key, "pool"]
        assert int(row["same_question"]) >= int(row["same_conversation"]) >= least
        assert int(row["copies"]) >= least
    assert table["beta", "test", "beta/validation"]["same_conversation"] == "10"
    warning = re.search("WARNING: contamination: .*", output)[0]
    assert re.search(r"\d+ of 12 records of alpha/test are in the pool", warning)
    assert "10 of 10 records of beta/test are in beta/validation" in warning

    output = succeeded(run("exclude", *WANTED))
    assert {"prepare_pool", "select_full", "select_random"} <= jobs(output)
    assert "tabulate_contamination" not in jobs(output)
    left, summary = ids(results / "pool/samples.parquet"), results / "pool/summary.json"
    assert not copies & left and left < whole
    assert left == ids(results / "subsets/full/ratio-1.0_seed-0.parquet")
    rejected = pd.read_csv(results / "pool/rejected.csv").set_index("sample_id")["reason"]
    assert (rejected[sorted(whole - left)] == "contaminated").all()
    found = json.loads(summary.read_text())
    assert found["accepted"] + found["rejected"] == found["read"]
    assert found["rejected_by_reason"]["contaminated"] == len(whole) - len(left)
    assert counts(folder) == table
    assert f"{len(whole) - len(left)} contaminated" in output
    warning = re.search("WARNING: contamination: .*", output)[0]
    assert "beta/test are in beta/validation" in warning and "the pool" not in warning
    assert jobs(succeeded(run("exclude", *WANTED, "-n"))) == set()
    assert {"prepare_pool", "tabulate_contamination"} <= jobs(succeeded(run("warn", *WANTED, "-n")))


def test_an_error_lists_the_copies_before_any_pass(planted):
    folder, run = planted
    done = run("error", "--cores", "2")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert {"prepare_pool", "prepare_task"} <= jobs(done.stdout)
    made = jobs(done.stdout) - {"check_tasks"}  # which encodes, without weights, and no pool
    assert not [rule for rule in made if rule.startswith(PASSES)]
    assert "records of alpha/test are in the pool" in done.stdout
    assert "10 of 10 records of beta/test are in beta/validation" in done.stdout
    for i in range(5):
        assert f"'copy-{i}'" in done.stdout
    assert not (folder / "results/mini/pool/samples.parquet").exists()


def test_what_is_not_prepared_cannot_be_compared(planted):
    folder, run = planted
    path = folder / "config.yaml"
    run("exclude", "-n")
    path.write_text(path.read_text() + "given: [pool]\n")
    done = snakemake(folder, path, "-n")
    assert done.returncode != 0 and "on_contamination: pool is given" in done.stdout
