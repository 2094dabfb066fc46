"""The score net and its joint training: the loss by hand, gradients, and the learned difficulty."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from array_files import write_shards
from closeness import assert_close_sums, assert_close_vectors, chain, rounding
from config_defaults import finetune_settings
from usual_models import load_vlm

from vlselect.checkpoints import score_net
from vlselect.checkpoints.finetune import prepare_model
from vlselect.checkpoints.score_net import (
    JointCollator,
    JointModel,
    ScoreNet,
    batch_weights,
    weighted_loss,
)
from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray
from vlselect.pool import images
from vlselect.pool.samples import Samples

pytestmark = pytest.mark.numeric

ROWS = [0, 1, 2, 3, 5, 8]
LORA = finetune_settings(
    rank=4, alpha=8, dropout=0, learning_rate=1e-3, batch_size=6, gradient_accumulation=1
)

USUAL = {"net_learning_rate": 0.05, "initial_spread": 0.02, "variant": "paper", "max_pixels": 10**7}


def fresh(spread=0.02, seed=0):
    """Return an untrained net for the features below."""
    return ScoreNet(10, spread, seed)


@pytest.fixture
def vlm(tiny_vlm):
    return load_vlm(str(tiny_vlm), device="cpu")


@pytest.fixture
def samples(tiny_pool):
    return Samples(tiny_pool / "samples.parquet")


@pytest.fixture
def features(tmp_path):
    """Return CLIP features of the tiny pool: two halves of unit length."""
    halves = np.random.default_rng(0).normal(size=(24, 2, 5))
    halves /= np.linalg.norm(halves, axis=2, keepdims=True)
    return ShardedArray(write_shards(tmp_path, halves.reshape(24, 10).astype(np.float16)))


@pytest.fixture
def run(tiny_vlm, tiny_pool, samples, features, tmp_path):
    """Train on a fresh tiny model; return the net and the losses of its log."""

    def run(settings=LORA, seed=0, rows=ROWS, features=features, **more):
        vlm = load_vlm(str(tiny_vlm), device="cpu")
        path = tmp_path / "log.csv"
        more = USUAL | more
        images = tiny_pool / "images"
        net = score_net.train(vlm, samples, rows, features, images, settings, seed, path, **more)
        with path.open(encoding="utf-8") as file:
            return net, [float(line["loss"]) for line in csv.DictReader(file)]

    return run


def changed(**values):
    return replace(LORA, **values)


def token_losses(vlm, samples, row, image_root):
    """Return the loss of each response token of one sample, computed token by token."""
    record = samples.records([row])[0]
    pictures = [images.load(image_root, name, 10**6) for name in record.images]
    encoded = vlm.encode(record, pictures)
    with torch.no_grad():
        logits = vlm.model(**vlm.collate([encoded]).inputs).logits[0].log_softmax(-1)
    ids = encoded.inputs["input_ids"]
    return [-logits[t - 1, ids[t]].item() for t in range(1, len(ids)) if encoded.response[t]]


def collated(vlm, samples, features, image_root, rows=ROWS):
    encoded = []
    for row, record in zip(rows, samples.records(rows), strict=True):
        encoded.append(
            vlm.encode(record, [images.load(image_root, n, 10**6) for n in record.images])
        )
        encoded[-1].row = row
    inputs = JointCollator(vlm, features, "paper")(encoded)
    return {name: inputs[name] for name in ("batch", "features")}


@pytest.mark.parametrize("variant", score_net.VARIANTS)
def test_first_loss_equals_a_manual_computation(run, vlm, samples, features, tiny_pool, variant):
    _, losses = run(seed=3, variant=variant, initial_spread=1.0)
    outputs = features[ROWS].astype(np.float64) @ fresh(1.0, 3).weight.detach().numpy()
    weights = len(ROWS) * np.exp(outputs) / np.exp(outputs).sum()
    assert weights.max() > 2 * weights.min()
    tokens = [token_losses(vlm, samples, row, tiny_pool / "images") for row in ROWS]
    if variant == "paper":
        expected = np.mean([w * np.mean(t) for w, t in zip(weights, tokens, strict=True)])
    else:
        total = sum(w * sum(t) for w, t in zip(weights, tokens, strict=True))
        expected = total / sum(len(t) for t in tokens)
    assert losses == [pytest.approx(expected, rel=rounding(chain(vlm.model)))]


def test_weights_have_mean_one_and_no_regard_for_a_constant():
    outputs = torch.tensor([0.5, -1.0, 2.0])
    weights = batch_weights(outputs)
    assert weights.mean().item() == pytest.approx(1)
    torch.testing.assert_close(batch_weights(outputs + 3), weights)
    torch.testing.assert_close(batch_weights(torch.zeros(4)), torch.ones(4))


@pytest.mark.parametrize("variant", score_net.VARIANTS)
def test_equal_weights_give_the_usual_losses(variant):
    sums, counts = torch.tensor([2.0, 9.0]), torch.tensor([1, 3])
    expected = {"paper": (2 + 3) / 2, "released": 11 / 4}[variant]
    assert weighted_loss(sums, counts, torch.ones(2), variant).item() == expected


def test_a_step_moves_weight_from_hard_to_easy_samples():
    """The gradient of output i is its share of the softmax times (loss i - weighted loss)."""
    outputs = torch.tensor([0.1, -0.3, 0.2], requires_grad=True)
    losses = torch.tensor([3.0, 0.5, 1.0])
    loss = weighted_loss(losses, torch.ones(3), batch_weights(outputs), "paper")
    loss.backward()
    share = outputs.detach().softmax(0)
    torch.testing.assert_close(outputs.grad, share * (losses - loss.detach()))
    assert outputs.grad[0] > 0 > outputs.grad[1]


def test_gradients_reach_the_net_and_only_the_adapter_of_the_vlm(vlm, samples, features, tiny_pool):
    net = fresh()
    joint = JointModel(prepare_model(vlm.model, LORA, 0), net, "paper")
    joint(**collated(vlm, samples, features, tiny_pool / "images"))["loss"].backward()
    assert net.weight.grad.abs().min() > 0
    touched = {name for name, w in joint.model.named_parameters() if w.grad is not None}
    assert touched == {name for name, _ in joint.model.named_parameters() if "lora_" in name}
    assert any(w.grad.abs().sum() > 0 for n, w in joint.model.named_parameters() if n in touched)


def test_training_moves_net_and_adapter_and_nothing_else(tiny_vlm, tiny_pool, samples, features):
    vlm, before = (load_vlm(str(tiny_vlm), device="cpu") for _ in range(2))
    log = features.paths[0].with_name("log.csv")
    net = score_net.train(
        *(vlm, samples, ROWS, features, tiny_pool / "images", changed(epochs=3), 0, log),
        **USUAL,
    )
    assert not torch.equal(net.weight, fresh().weight)
    weights = dict(before.model.named_parameters())
    lora_b = []
    for name, weight in vlm.model.named_parameters():
        if "lora_" not in name:
            assert torch.equal(weight, weights[name.replace(".base_layer", "")]), name
        elif "lora_B" in name:
            lora_b.append(weight.abs().sum().item())
    assert sum(lora_b) > 0


def test_samples_with_a_high_loss_come_out_as_difficult(run, vlm, samples, tiny_pool, tmp_path):
    """The features encode the half of the pool with higher losses, which must end up harder."""
    losses = [np.mean(token_losses(vlm, samples, row, tiny_pool / "images")) for row in range(24)]
    hard = np.argsort(losses)[12:]
    marks = np.tile(np.array([1, 0], np.float16), (24, 1))
    marks[hard] = [0, 1]
    features = ShardedArray(write_shards(tmp_path, marks))
    settings = changed(epochs=2, batch_size=8, learning_rate=1e-4)
    net, _ = run(settings, rows=range(24), features=features, initial_spread=0)
    difficulty = score_net.difficulties(net, features)
    assert difficulty[hard].min() > difficulty[np.argsort(losses)[:12]].max() + 0.1


def test_difficulty_is_minus_the_output_of_the_net(features):
    net = fresh(seed=4)
    weight, found = net.weight.detach().numpy(), score_net.difficulties(net, features)
    products = -features[:].astype(np.float64) * weight
    assert_close_sums(found, products.sum(axis=1), terms=10, scale=np.abs(products).sum(axis=1))
    assert found.dtype == np.float32


def test_same_seed_gives_the_same_net_and_another_other_batches(run):
    settings = changed(batch_size=2, dropout=0.1)
    net, losses = run(settings, seed=1, initial_spread=0)
    torch.rand(5)  # earlier draws do not matter
    again, losses_again = run(settings, seed=1, initial_spread=0)
    assert torch.equal(net.weight, again.weight) and losses == losses_again
    other, _ = run(settings, seed=2, initial_spread=0)
    assert not torch.equal(net.weight, other.weight)
    assert not torch.equal(fresh(seed=1).weight, fresh(seed=2).weight)


def test_accumulated_micro_batches_are_averaged(run, vlm):
    """The first loss in the log is the mean of two micro-batches' losses, not their sum."""
    slow = {"batch_size": 3, "learning_rate": 1e-9}
    halves = run(changed(**slow), initial_spread=0, net_learning_rate=1e-9)[1]
    both = run(changed(**slow, gradient_accumulation=2), initial_spread=0)[1]
    assert len(halves) == 2 and len(both) == 1
    assert both[0] == pytest.approx(np.mean(halves), rel=rounding(chain(vlm.model)))


@pytest.mark.parametrize("variant", score_net.VARIANTS)
def test_the_loss_of_a_step_does_not_depend_on_how_its_samples_are_cut(
    run, vlm, samples, tiny_pool, variant
):
    """Five samples in micro-batches of two: the last has one. All weights are 1."""
    rows = [0, 1, 4, 5, 10]  # of one to three turns
    tokens = [token_losses(vlm, samples, row, tiny_pool / "images") for row in rows]
    each = [np.mean(t) for t in tokens] if variant == "paper" else np.concatenate(tokens)
    start = {"initial_spread": 0, "variant": variant, "rows": rows}
    _, whole = run(changed(batch_size=5), **start)
    _, parts = run(changed(batch_size=2, gradient_accumulation=3), **start)
    assert len(whole) == len(parts) == 1
    for loss in (whole[0], parts[0]):  # six digits in the log
        assert loss == pytest.approx(np.mean(each), rel=1e-5)


def test_too_little_memory_says_that_a_smaller_batch_is_another_softmax(run, monkeypatch):
    def fail(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("transformers.Trainer.training_step", fail)
    with pytest.raises(InputError) as caught:
        run(changed(gradient_checkpointing=True))
    assert "batch_size of the score net, now 6" in str(caught.value)
    assert "softmax" in str(caught.value)
    assert "gradient_checkpointing" not in str(caught.value)  # it is on
    assert "gradient_accumulation" not in str(caught.value)


def test_the_net_has_its_own_learning_rate(run):
    start = fresh().weight
    slow, _ = run(changed(epochs=2), net_learning_rate=1e-4)
    fast, _ = run(changed(epochs=2), net_learning_rate=1e-1)
    assert (fast.weight - start).abs().mean() > 100 * (slow.weight - start).abs().mean()


def test_recomputing_activations_changes_nothing(run, vlm):
    plain, _ = run(changed(batch_size=3))
    frugal, _ = run(changed(batch_size=3, gradient_checkpointing=True))
    assert_close_vectors(frugal.weight, plain.weight, terms=2 * 2 * chain(vlm.model))  # two steps


def test_bad_input_is_named(run, features, tmp_path):
    with pytest.raises(ValueError, match="no samples"):
        run(rows=[])
    with pytest.raises(ValueError, match="'printed'"):
        run(variant="printed")
    with pytest.raises(ValueError, match="batch_size"):
        run(changed(batch_size=1))
    (tmp_path / "short").mkdir()
    short = ShardedArray(write_shards(tmp_path / "short", features[:20]))
    with pytest.raises(ValueError, match="20 rows of CLIP features for a pool of 24"):
        run(features=short)
    with pytest.raises(ValueError, match="variant"):
        weighted_loss(torch.ones(1), torch.ones(1), torch.ones(1), "printed")
