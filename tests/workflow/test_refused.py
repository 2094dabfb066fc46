"""Samples that the model refuses: the run stops before any pass, or goes on without them."""

import json
import shutil
from itertools import count

import numpy as np
import pandas as pd
import pytest
import yaml
from running import jobs, snakemake, succeeded
from safetensors.torch import load_file, save_file

from vlselect.core import ordering
from vlselect.core.store import ShardedArray

METHODS = ("icons", "coincide", "scalselect")
PASSES = {"extract_features", "extract_attention", "warm_up", "collect_gradients"}
LONG = " ".join(["car"] * 70)
CHOSEN, POOL = 66, 331  # with the spoilt record, whose values are not finite, and no refused one


def talk(name, question, answer="yes", **more):
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": name, "task": "photos", "conversations": turns, **more}


def spoilt_name(mini_run):
    """Return an id that both the warm-up and the method `random` draw."""
    good = pd.read_parquet(mini_run.results / "pool/samples.parquet")["sample_id"].tolist()
    assert len(good) == POOL - 1
    every = [*good, *(record["id"] for record in bad_records()[:-1])]

    def drawn(name):
        warm_up = ordering.draw([*good, name], CHOSEN, 0, "warm_up")
        return len(good) in warm_up and len(every) in ordering.draw([*every, name], CHOSEN, 0, None)

    return next(filter(drawn, (f"pool-spoilt-{i}" for i in count())))


def bad_records(spoilt="spoilt"):
    """Records at the end of the pool, so that all blocks before them stay as they are."""
    records = [talk(f"long-{i:02d}", f"is there a {LONG} ?") for i in range(60)]
    records[10] = talk("own-token", "is there a <IMG> ?")
    records[20] = talk("late-image", f"{LONG} <image>", image="1.png")
    return [*records, talk(spoilt, "<image>\nis there a no ?", image="2.png")]


REASONS = {"no_response": 58, "image_token": 1, "image_cut": 1}


@pytest.fixture(scope="module")
def folder(mini_input, mini_run, tmp_path_factory):
    """The mini input with refused records; the model stands images in by <IMG>."""
    folder = tmp_path_factory.mktemp("refused")
    shutil.copytree(mini_input / "data", folder / "data")
    records = json.loads((folder / "data/mixture.json").read_text())
    records += bad_records(spoilt_name(mini_run))
    (folder / "data/mixture.json").write_text(json.dumps(records))
    model = folder / "data/model"
    for path in model.glob("*.j*"):
        path.write_text(path.read_text().replace("<image>", "<IMG>"))
    tokens = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    weights = load_file(model / "model.safetensors")
    (name,) = (name for name in weights if name.endswith("embed_tokens.weight"))
    weights[name][tokens["no"]] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    return folder


def run(folder, mini_run, mode, *targets):
    """Run on the mini config, with budgets and draws of the pool without the refused samples."""
    config = yaml.safe_load(mini_run.config.read_text())
    config |= {"on_refused": mode, "samples": [CHOSEN], "seeds": [0]}
    config["models"]["target"]["max_length"] = 64
    config["gradients"]["warm_up"]["fraction"] = CHOSEN / POOL
    del config["ratios"]
    path = folder / f"{mode}.yaml"
    path.write_text(yaml.safe_dump(config))
    return snakemake(folder, path, "--cores", "2", *targets)


def test_error_lists_them_all_before_any_pass(folder, mini_run):
    done = run(folder, mini_run, "error", "subsets")
    assert done.returncode
    made = jobs(done.stdout)
    assert not made & PASSES and {"check_samples", "list_refused", "admit_samples"} <= made
    counts = ", ".join(f"{n} {reason}" for reason, n in REASONS.items())
    said = f"model 'target' refuses 60 of 391 samples: {counts}"
    assert said in done.stdout and said in done.stdout.rpartition("Not finished.")[0][-6000:]
    assert "results/mini/features/target/refused.csv" in done.stdout
    assert "`pool.exclude`" in done.stdout and "`on_refused: reject`" in done.stdout
    table = pd.read_csv(folder / "results/mini/features/target/refused.csv")
    assert table["reason"].value_counts().to_dict() == REASONS
    assert set(table["sample_id"]) == {record["id"] for record in bad_records()[:-1]}


@pytest.fixture(scope="module")
def rejected(folder, mini_run):
    """The same folder, with `reject`; the whole chain to a finetuned checkpoint."""
    checkpoint = "results/mini/checkpoints/target/random/samples-66_seed-0"
    done = run(folder, mini_run, "reject", "subsets", checkpoint)
    return folder / "results/mini", succeeded(done)


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_read_the_model_choose_as_if_they_were_not_there(rejected, mini_run, method):
    results, _ = rejected
    found = (results / f"subsets/{method}/samples-66_seed-0.json").read_text()
    assert found == (mini_run.results / f"subsets/{method}/ratio-0.2_seed-0.json").read_text()
    log = (results / f"logs/select_{method}/samples-66_seed-0.log").read_text()
    assert "66 samples chosen; 61 could not be: refused by a model" in log


def test_one_bad_sample_costs_no_pass(rejected):
    results, output = rejected
    counts = ", ".join(f"{n} {reason}" for reason, n in REASONS.items())
    path = "results/mini/features/target/refused.csv"
    assert f"target refuses 60 samples ({counts}; see {path})" in output
    expected = np.arange(330, 391)
    for kind in ("features/target/activations", "features/target/attended"):
        array = ShardedArray((results / kind).iterdir())
        np.testing.assert_array_equal(array.refused, expected)
    drawn = pd.read_csv(results / "gradients/target/seed-0/warm_up/rows.csv")["row"]
    assert len(drawn) == CHOSEN and drawn.max() < 330
    log = (results / "logs/warm_up/gradients/target/seed-0.log").read_text()
    assert "1 samples have no values that can be used" in log and "'pool-spoilt-" in log
    array = ShardedArray((results / "gradients/target/seed-0/pool").iterdir())
    np.testing.assert_array_equal(array.refused, expected)


def test_other_methods_may_choose_them_and_finetuning_does_not_see_them(rejected):
    results, _ = rejected
    subset = pd.read_parquet(results / "subsets/random/samples-66_seed-0.parquet")
    refused = set(pd.read_csv(results / "features/target/refused.csv")["sample_id"])
    n = len(refused & set(subset["sample_id"]))
    assert n > 0
    log = (results / "logs/finetune_model/target/random/samples-66_seed-0.log").read_text()
    assert f"{n} of 66 chosen samples are not trained on: see refused.csv" in log
    assert f"{66 - n} samples to train on" in log
    assert "1 samples have no values that can be used" in log and "'pool-spoilt-" in log
    assert f"{66 - n - 1} samples to train on" in log


def test_what_one_mode_let_pass_is_not_done_again_for_the_other(rejected, folder, mini_run):
    done = run(folder, mini_run, "error", "-n", "subsets")
    assert not jobs(succeeded(done))
