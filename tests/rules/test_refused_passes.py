"""Passes over pools with samples that the model refuses, or has no finite values for."""

import json
import shutil

import collect_gradients
import extract_attention
import extract_clip
import extract_features
import extract_gains
import extract_instruction_gains
import extract_representation
import extract_signatures
import extract_visual
import finetune_model
import numpy as np
import pandas as pd
import pytest
import torch
import train_score_net
import warm_up
from array_files import write_shards
from config_defaults import FINETUNE
from finetune_runs import SCRIPT, start
from safetensors.torch import load_file, save_file
from tiny_inputs import WORDS, make_records, prepare
from usual_flags import usual
from usual_models import attach_lora, load_vlm

from vlselect.checkpoints.launching import launch_command
from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray
from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config

LEFT_OUT, SPOILT = [5, 20], [3, 12]
GONE = sorted(LEFT_OUT + SPOILT)
SETTINGS = {"rank": 2, "alpha": 4, "batch_size": 4, "gradient_accumulation": 1}
POISON = "?"  # no other record has this word


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Two samples have a word without a finite embedding, and two are left out from the start."""
    records = make_records(24)
    for row in SPOILT:
        records[row]["conversations"][0]["value"] += f" {POISON}"
    folder = prepare(tmp_path_factory.mktemp("pool"), records)
    rows = [("pool", row, f"sample-{row:03d}") for row in LEFT_OUT]
    rows += [("alpha/validation", row, f"sample-{row:03d}") for row in LEFT_OUT]
    table = pd.DataFrame(rows, columns=["part", "row", "sample_id"])
    table.to_parquet(folder / "left_out.parquet")
    return folder


def poisoned(model, word, name="embed_tokens.weight"):
    """Make a word's embedding NaN in a model's folder."""
    tokens = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    weights = load_file(model / "model.safetensors")
    (key,) = (key for key in weights if key.endswith(name))
    weights[key][tokens[word]] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    return model


@pytest.fixture(scope="module")
def model(tiny_vlm, tmp_path_factory):
    return poisoned(shutil.copytree(tiny_vlm, tmp_path_factory.mktemp("poisoned") / "m"), POISON)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip")
    processor = build_clip_processor(WORDS, 32)
    build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2)).save_pretrained(path)
    processor.save_pretrained(path)
    return poisoned(path, POISON, "text_model.embeddings.token_embedding.weight")


@pytest.fixture(scope="module")
def adapter(tiny_vlm, tmp_path_factory):
    path = tmp_path_factory.mktemp("adapter")
    adapted = attach_lora(load_vlm(str(tiny_vlm), device="cpu").model, rank=2, alpha=4, seed=0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    adapted.save_pretrained(path)
    return path


PASSES = ("features", "attention", "visual", "clip", "hidden", "output", "gains", "instruction")
PASSES += ("signatures", "gradients", "norms")


@pytest.fixture(params=PASSES)
def run(request, pool, model, clip, adapter, tmp_path):
    """Run a pass with more flags; return its shards."""
    name = request.param
    script = {
        "features": extract_features,
        "attention": extract_attention,
        "visual": extract_visual,
        "clip": extract_clip,
        "hidden": extract_representation,
        "output": extract_representation,
        "gains": extract_gains,
        "instruction": extract_instruction_gains,
        "signatures": extract_signatures,
    }.get(name, collect_gradients)
    kinds = {
        "features": ("activations", "last_token", "mean_hidden", "likelihood"),
        "attention": ("attended",),
        "visual": ("visual",),
        "clip": ("clip",),
        "gains": ("gains", "question"),
        "instruction": ("instruction_gains",),
        "signatures": ("bridging", "neurons"),
        "gradients": ("out", "losses"),
    }.get(name, ("out",))
    outs = {kind: tmp_path / f"{kind}.safetensors" for kind in kinds}
    flags = ["--samples", pool / "samples.parquet", "--images", pool / "images", "--run", "test"]
    flags += ["--model", clip if name == "clip" else model, "--batch-size", 16]
    if name == "attention":
        flags += ["--instruction", "question", "--layer", 1, "--mass", 0.9]
    if name in ("hidden", "output"):
        flags += ["--names", "pool", "--kind", name]
        flags += ["--positions", "all"] if name == "hidden" else []
    if name == "visual":
        flags += ["--layer", 1]
    if name == "instruction":
        flags += ["--token-weights", "content"]
    if script is collect_gradients:
        part = "pool" if name == "gradients" else "alpha"
        flags += ["--names", part, "--warm-up", adapter, "--dim", 32]
        flags += ["--keep-norms", "alpha"] if part == "alpha" else []
    for kind, path in outs.items():
        flags += [f"--{kind.replace('_', '-')}", path]

    def run(*more):
        script.main([*usual(script), *map(str, flags), *map(str, more)])
        return [ShardedArray([path]) for path in outs.values()]

    run.outs = outs.values()
    return run


def test_error_ends_the_pass_with_all_of_them(run, pool):
    with pytest.raises(ValueError) as caught:
        run("--left-out", pool / "left_out.parquet", "--on-refused", "error")
    said = str(caught.value)
    assert said.startswith("2 samples have no values that can be used: 2 not_finite")
    assert "'sample-003'" in said and "'sample-012'" in said
    assert "`pool.exclude`" in said and "`on_refused: reject`" in said
    assert not any(path.exists() for path in run.outs)


def test_reject_keeps_all_others_and_names_them(run, pool):
    for array in run("--left-out", pool / "left_out.parquet", "--on-refused", "reject"):
        assert len(array) == 24 and array.refused.tolist() == GONE
        named = json.loads(array.metadata[0]["refused"])
        assert named == {"left_out": LEFT_OUT, "not_finite": SPOILT}
        finite = np.isfinite(array[:].reshape(24, -1).astype(np.float64)).all(axis=1)
        assert np.flatnonzero(~finite).tolist() == GONE


def training_flags(pool, model, rows, script, out):
    settings = json.dumps(FINETUNE | SETTINGS)
    flags = ["--samples", pool / "samples.parquet", "--images", pool / "images"]
    flags += ["--left-out", pool / "left_out.parquet", "--settings", settings]
    flags += ["--model", model, "--out", out]
    if script is finetune_model:
        table = pd.read_parquet(pool / "samples.parquet").loc[rows, ["row", "sample_id"]]
        table.to_parquet(out.with_suffix(".parquet"))
        flags += ["--subset", out.with_suffix(".parquet")]
    return [*usual(script), *map(str, flags)]


def test_finetuning_does_not_see_refused_samples_and_counts_them(pool, tiny_vlm, tmp_path, capsys):
    sound = [1, 2, 8, 9]
    for name, rows in (("with", sorted(sound + LEFT_OUT)), ("without", sound)):
        flags = training_flags(pool, tiny_vlm, rows, finetune_model, tmp_path / name)
        finetune_model.main(flags)
    said = capsys.readouterr().err
    assert said.count("samples are not trained on") == 1
    assert "2 of 6 chosen samples are not trained on: see refused.csv" in said
    files = [tmp_path / name / "adapter_model.safetensors" for name in ("with", "without")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_warm_up_draws_among_the_others(pool, tiny_vlm, tmp_path):
    flags = training_flags(pool, tiny_vlm, [], warm_up, tmp_path / "warm")
    warm_up.main([*flags, "--fraction", "1"])
    rows = pd.read_csv(tmp_path / "warm/rows.csv")["row"]
    assert rows.tolist() == [row for row in range(24) if row not in LEFT_OUT]


def test_the_score_net_leaves_out_what_either_model_refuses(pool, tiny_vlm, tmp_path):
    features = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float16)
    shards = write_shards(tmp_path, features, refused=SPOILT)
    out = tmp_path / "scores.parquet"
    flags = training_flags(pool, tiny_vlm, [], train_score_net, out)
    flags += ["--clip", *map(str, shards), "--variant", "paper", "--log", str(tmp_path / "log.csv")]
    train_score_net.main(flags)
    table = pd.read_parquet(out)
    assert np.flatnonzero(table["score"].isna()).tolist() == table.attrs["refused"] == GONE
    assert len(pd.read_csv(tmp_path / "log.csv")) == 5  # 20 samples, four in each step


def score_net_flags(pool, out):
    features = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float16)
    flags = ["--clip", *write_shards(pool / "clip", features), "--log", out.with_suffix(".csv")]
    return list(map(str, flags))


TRAININGS = {
    "warm_up": (warm_up, lambda pool, out: ["--fraction", "0.95"]),
    "finetuning": (finetune_model, lambda pool, out: []),
    "score_net": (train_score_net, score_net_flags),
}


@pytest.fixture(params=TRAININGS)
def train(request, pool, model, tmp_path):
    """Train on samples some of which have no finite loss; return what was written, by its name."""
    script, more = TRAININGS[request.param]

    def train(name, mode, left_out=LEFT_OUT):
        out = tmp_path / name
        table = pd.DataFrame({"part": "pool", "row": left_out})
        table.to_parquet(tmp_path / "left_out.parquet")
        flags = training_flags(pool, model, [1, *GONE, 13, 14], script, out)
        flags += ["--left-out", str(tmp_path / "left_out.parquet"), "--on-refused", mode]
        script.main([*flags, *more(pool, out)])
        if out.is_file():
            return pd.read_parquet(out)
        return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".csv"}

    train.out = tmp_path
    return train


def test_error_lists_all_samples_that_training_has_no_finite_loss_for(train):
    with pytest.raises(InputError) as caught:
        train("out", "error")
    said = str(caught.value)
    assert said.startswith("2 samples have no values that can be used: 2 not_finite")
    assert "loss of sample 'sample-003' is nan" in said and "'sample-012' is nan" in said
    assert "`pool.exclude`" in said and "`on_refused: reject`" in said
    assert not (train.out / "out").exists()


def test_training_starts_over_as_if_they_were_not_there(train, capsys):
    found = train("with", "reject")
    assert "2 samples have no values that can be used" in capsys.readouterr().err
    expected = train("without", "error", left_out=GONE)
    if isinstance(found, dict):
        assert found == expected
    else:
        pd.testing.assert_frame_equal(found, expected)
        assert found.attrs == expected.attrs == {"refused": GONE}


def test_two_processes_start_over_together(pool, model, tmp_path):
    settings = json.dumps(FINETUNE | SETTINGS | {"processes": 2, "gradient_accumulation": 2})
    for name, rows in (("with", [1, *SPOILT, 13, 14]), ("without", [1, 13, 14])):
        flags = training_flags(pool, model, rows, finetune_model, tmp_path / name)
        flags += ["--settings", settings, "--on-refused", "reject"]
        done = start([*launch_command(2, 1), SCRIPT, *flags])
        assert done.returncode == 0, done.stdout
        said = "2 samples have no values that can be used" in done.stdout
        assert said == (name == "with")
    files = [tmp_path / name / "adapter_model.safetensors" for name in ("with", "without")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("mode", ["error", "reject"])
def test_a_training_that_diverges_is_not_blamed_on_samples(pool, tiny_vlm, tmp_path, mode):
    flags = training_flags(pool, tiny_vlm, range(12), finetune_model, tmp_path / "out")
    wild = {"adapter": "none", "learning_rate": 1e30, "warmup_ratio": 0, "max_grad_norm": 0}
    flags += ["--settings", json.dumps(FINETUNE | SETTINGS | wild), "--on-refused", mode]
    with pytest.raises(InputError, match="at step 2, but was before training: lower the learning"):
        finetune_model.main(flags)
