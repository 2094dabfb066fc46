"""The loss of a step is the mean over its response tokens, for any split into batches."""

import csv
import json
from functools import partial
from itertools import combinations

import numpy as np
import prepare_pool
import pytest
import torch
from config_defaults import finetune_settings
from finetune_runs import SCRIPT, finetune_flags, start
from model_families import FAMILIES, TEXTS, save_family
from safetensors.torch import load_file
from step_gradients import PROGRAM, keep_first, slow_step
from tiny_inputs import write_images
from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration
from usual_flags import usual
from usual_models import load_vlm

from vlselect.checkpoints.finetune import train
from vlselect.checkpoints.launching import launch_command
from vlselect.checkpoints.training_log import TrainingLog
from vlselect.checkpoints.training_loss import StepLoss
from vlselect.models.collation import IGNORED, Encoded, collate
from vlselect.pool.samples import Samples

train = partial(train, max_pixels=10**7)

LENGTHS = (1, 40, 2, 30, 1, 25)  # words of the responses: micro-batch means weight them differently
ROWS = range(len(LENGTHS))
WHOLE = {
    "adapter": "none",
    "learning_rate": 1e-3,
    "max_grad_norm": 0,
    "warmup_ratio": 0,
    "scheduler": "constant",
}
EPS = torch.finfo(torch.float32).eps


@pytest.fixture(scope="module")
def uneven_pool(tmp_path_factory):
    """Write a pool with responses of very different lengths and one text-only sample."""
    folder = tmp_path_factory.mktemp("uneven")
    rng = np.random.default_rng(0)
    words = sorted(set(" ".join(TEXTS).replace(":", "").replace(",", "").split()))
    records = []
    for i, length in enumerate(LENGTHS):
        marks = "" if i == 2 else "<image>\n"
        answer = " ".join(rng.choice(words, length))
        turns = [("human", f"{marks}what is this"), ("gpt", answer)]
        turns = [{"from": who, "value": text} for who, text in turns]
        image = {} if i == 2 else {"image": f"{i}.png"}
        records.append({"id": f"s{i}", "conversations": turns, **image})
    write_images(folder / "images", records)
    (folder / "mixture.json").write_text(json.dumps(records))
    outputs = ("samples.parquet", "rejected.csv", "summary.json")
    flags = [("--" + name.partition(".")[0], str(folder / name)) for name in outputs]
    given = ["--records", str(folder / "mixture.json"), "--images", str(folder / "images")]
    prepare_pool.main([*usual(prepare_pool), *given, *(part for flag in flags for part in flag)])
    return folder


@pytest.fixture(scope="module")
def family_folder(tmp_path_factory):
    """Save a family once; return its folder."""
    folders = {}

    def folder(name):
        if name not in folders:
            path = tmp_path_factory.mktemp(name)
            folders[name] = save_family(name, path, TEXTS, layers=2)
        return folders[name]

    return folder


@pytest.fixture(scope="module")
def expected_step(family_folder, uneven_pool):
    """Compute the reference for a family once."""
    steps = {}

    def step(name):
        if name not in steps:
            vlm = load_vlm(str(family_folder(name)), device="cpu")
            steps[name] = slow_step(vlm, uneven_pool, ROWS)
        return steps[name]

    return step


def logged(path):
    with path.open(encoding="utf-8") as file:
        return [float(line["loss"]) for line in csv.DictReader(file)]


def assert_same_loss(loss, expected, n_tokens):
    """Allow n eps for a sum of n positive terms, and the six digits of the log."""
    assert loss == pytest.approx(expected, rel=n_tokens * EPS + 5e-6)


def assert_same_step(loss, gradients, expected):
    """Compare every weight's gradient within n eps of the norm of the whole gradient."""
    expected_loss, n_tokens, expected_gradients = expected
    assert_same_loss(loss, expected_loss, n_tokens)
    assert gradients.keys() == expected_gradients.keys()
    length = torch.stack([g.norm() for g in expected_gradients.values()]).norm()
    for name, gradient in expected_gradients.items():
        assert (gradients[name] - gradient).norm() <= n_tokens * EPS * length, name


@pytest.fixture
def run(family_folder, uneven_pool, monkeypatch, tmp_path):
    """Train a family on the pool; return the logged losses and the first step's gradients."""

    def run(family, **settings):
        gradients = {}
        keep = keep_first(gradients)
        monkeypatch.setattr(TrainingLog, "on_pre_optimizer_step", keep, raising=False)
        vlm = load_vlm(str(family_folder(family)), device="cpu")
        samples, log = Samples(uneven_pool / "samples.parquet"), tmp_path / "log.csv"
        settings = finetune_settings(**WHOLE | settings)
        train(vlm, samples, ROWS, uneven_pool / "images", settings, 0, log)
        return logged(log), gradients

    return run


@pytest.mark.parametrize("accumulation", [1, 2, 6])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_the_mean_over_its_tokens(family, accumulation, run, expected_step):
    size = len(ROWS) // accumulation
    losses, gradients = run(family, batch_size=size, gradient_accumulation=accumulation)
    (loss,) = losses
    assert_same_step(loss, gradients, expected_step(family))


def test_two_processes_share_a_step(
    launched_family, family_folder, expected_step, uneven_pool, tmp_path
):
    """Each has three micro-batches of one sample, so their numbers of tokens differ."""
    settings = WHOLE | {"batch_size": 1, "gradient_accumulation": 6, "processes": 2}
    out, folder = tmp_path / "out", family_folder(launched_family)
    flags = finetune_flags(folder, uneven_pool, out, ROWS, **settings)
    done = start([*launch_command(2, 1), PROGRAM, SCRIPT, *flags])
    assert done.returncode == 0, done.stdout
    (loss,) = logged(out / "training_log.csv")
    gradients = load_file(f"{out}.safetensors")
    assert_same_step(loss, gradients, expected_step(launched_family))


def test_a_last_step_of_fewer_micro_batches_has_its_own_number_of_tokens(
    run, family_folder, uneven_pool
):
    """Six samples in steps of four: the second step has two."""
    steps = {"batch_size": 1, "gradient_accumulation": 4, "learning_rate": 1e-30}
    losses, _ = run("qwen2_5_vl", **steps)
    vlm = load_vlm(str(family_folder("qwen2_5_vl")), device="cpu")
    alone = [slow_step(vlm, uneven_pool, [row])[:2] for row in ROWS]

    def mean(rows):
        tokens = sum(alone[row][1] for row in rows)
        return sum(alone[row][0] * alone[row][1] for row in rows) / tokens

    pairs = [(mean(set(ROWS) - set(pair)), mean(pair)) for pair in combinations(ROWS, 2)]
    n_tokens = sum(n for _, n in alone)
    assert any(losses == pytest.approx(pair, rel=n_tokens * EPS + 5e-6) for pair in pairs)


def test_a_first_token_never_counts():
    """It has no prediction, so neither the number of tokens nor the loss may include it."""
    ids = torch.tensor([5, 6, 7])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    nothing, response = np.zeros(3, bool), np.array([True, False, True])
    sample = Encoded("s", inputs, response, nothing, nothing)
    labels = collate([sample], "right", 0, torch.device("cpu"), torch.float32).labels
    assert labels.tolist() == [[IGNORED, IGNORED, 7]]


@pytest.mark.parametrize("balanced", [True, False])
def test_experts_are_balanced_where_the_model_asks_for_it(balanced):
    """For one batch as in the model's own loss; for several, weighted by tokens."""
    torch.manual_seed(0)
    config = mixture_of_experts(balanced)
    model = Qwen3VLMoeForConditionalGeneration(config)
    ids = torch.randint(5, 40, (3, 12))
    labels = ids.clone()
    labels[0, :11], labels[1, :4], labels[2, :6] = IGNORED, IGNORED, IGNORED
    labels[:, 0] = IGNORED
    loss = StepLoss(model.config)
    total = (labels != IGNORED).sum()
    own = model(input_ids=ids, labels=labels)
    whole = loss(model(input_ids=ids), labels, total)
    torch.testing.assert_close(whole, own.loss, rtol=int(total) * EPS, atol=0)
    assert (own.aux_loss is not None) == balanced
    parts = [(slice(0, 1), 1), (slice(1, 3), 14)]
    found = sum(loss(model(input_ids=ids[p]), labels[p], total) for p, _ in parts)
    expected = sum(n / 15 * model(input_ids=ids[p], labels=labels[p]).loss for p, n in parts)
    torch.testing.assert_close(found, expected, rtol=int(total) * EPS, atol=0)


def mixture_of_experts(balanced):
    text = {
        "vocab_size": 48,
        "hidden_size": 32,
        "intermediate_size": 32,
        "moe_intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "router_aux_loss_coef": 0.5,
        "output_router_logits": balanced,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 1, 1],
            "mrope_interleaved": True,
        },
    }
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": 32,
        "deepstack_visual_indexes": [0],
    }
    ids = {"image_token_id": 1, "video_token_id": 2, "vision_start_token_id": 3}
    return Qwen3VLMoeConfig(text_config=text, vision_config=vision, vision_end_token_id=4, **ids)
