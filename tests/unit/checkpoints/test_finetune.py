import csv
import math
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain, rounding
from config_defaults import finetune_settings
from torch.nn import functional
from usual_models import load_vlm

from vlselect.checkpoints.finetune import prepare_model, train
from vlselect.checkpoints.training_data import ResponseCollator, SampleDataset
from vlselect.core.errors import InputError
from vlselect.pool import images
from vlselect.pool.samples import Samples

train = partial(train, max_pixels=10**7)
SampleDataset = partial(SampleDataset, max_pixels=10**7, cache_bytes=2**20)

ROWS = [0, 1, 2, 3, 5, 8]
LORA = finetune_settings(
    rank=4, alpha=8, dropout=0.1, learning_rate=1e-2, batch_size=2, gradient_accumulation=1
)
WHOLE = finetune_settings(
    adapter="none",
    freeze=("vision_tower",),
    learning_rate=1e-3,
    batch_size=2,
    gradient_accumulation=1,
)


@pytest.fixture
def run(tiny_vlm, tiny_pool, tmp_path):
    """Train a fresh tiny model; return it and the rows of its log."""

    def run(settings, seed=0, rows=ROWS):
        vlm = load_vlm(str(tiny_vlm), device="cpu")
        samples = Samples(tiny_pool / "samples.parquet")
        log = tmp_path / "log.csv"
        model = train(vlm, samples, rows, tiny_pool / "images", settings, seed, log)
        with log.open(encoding="utf-8") as file:
            return model, list(csv.DictReader(file))

    return run


def changed(settings, **values):
    return replace(settings, **values)


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def manual_loss(vlm, samples, rows, image_root):
    """Return the mean negative log-likelihood of the rows' response tokens, sample by sample."""
    total, count = 0.0, 0
    for record in samples.records(rows):
        pictures = [images.load(image_root, name, 10**6) for name in record.images]
        encoded = vlm.encode(record, pictures)
        batch = vlm.collate([encoded])
        logits = vlm.model(**batch.inputs).logits[0].log_softmax(-1)
        for t in range(1, len(encoded)):
            if encoded.response[t]:
                total -= logits[t - 1, encoded.inputs["input_ids"][t]].item()
                count += 1
    return total / count


@pytest.mark.parametrize("accumulation", [1, 3])
def test_loss_is_that_of_the_response_tokens(run, tiny_vlm, tiny_pool, accumulation):
    """The first step's loss, over padded batches, is the mean over all its response tokens."""
    settings = changed(
        LORA, dropout=0, batch_size=6 // accumulation, gradient_accumulation=accumulation
    )
    _, lines = run(settings)
    samples = Samples(tiny_pool / "samples.parquet")
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    with torch.no_grad():
        expected = manual_loss(vlm, samples, ROWS, tiny_pool / "images")
    assert len(lines) == 1
    assert float(lines[0]["loss"]) == pytest.approx(expected, rel=rounding(chain(vlm.model)))


def test_tokens_that_are_no_response_give_no_gradient(tiny_vlm, tiny_pool):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    dataset = SampleDataset(vlm, Samples(tiny_pool / "samples.parquet"), ROWS, tiny_pool / "images")
    batch = ResponseCollator(vlm)([dataset[i] for i in range(len(ROWS))])
    logits = vlm.model(**{k: v for k, v in batch.items() if k not in ("labels", "rows")}).logits
    logits.retain_grad()
    functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch["labels"][:, 1:]).backward()
    predicts_response = torch.zeros_like(batch["labels"], dtype=torch.bool)
    predicts_response[:, :-1] = batch["labels"][:, 1:] >= 0
    touched = logits.grad.abs().sum(-1) > 0  # (B, T)
    assert torch.equal(touched, predicts_response)
    assert 0 < predicts_response.sum() < predicts_response.numel() / 2


@pytest.mark.parametrize("settings", [LORA, WHOLE], ids=["lora", "none"])
def test_training_lowers_the_loss(run, settings):
    _, lines = run(changed(settings, epochs=8, learning_rate=5e-3))
    losses = [float(line["loss"]) for line in lines]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


@pytest.mark.parametrize("settings", [LORA, WHOLE], ids=["lora", "none"])
def test_same_seed_gives_the_same_weights(run, settings):
    first, first_log = run(settings, seed=3)
    torch.rand(5)  # earlier draws do not matter
    second, second_log = run(settings, seed=3)
    second = weights(second)
    assert all(torch.equal(weight, second[name]) for name, weight in weights(first).items())
    assert [line["loss"] for line in first_log] == [line["loss"] for line in second_log]


def test_another_seed_gives_another_order(run):
    orders = [[line["loss"] for line in run(WHOLE, seed)[1]] for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_the_cache_changes_nothing(run):
    kept, _ = run(changed(LORA, epochs=2, cache_mb=100))
    anew, _ = run(changed(LORA, epochs=2, cache_mb=0))
    anew = weights(anew)
    assert all(torch.equal(weight, anew[name]) for name, weight in weights(kept).items())


def test_the_cache_stays_in_its_bounds(tiny_vlm, tiny_pool):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    samples = Samples(tiny_pool / "samples.parquet")
    dataset = SampleDataset(vlm, samples, [0, 1, 2], tiny_pool / "images", cache_bytes=20_000)
    assert [dataset[i] is dataset[i] for i in range(3)] == [True, False, True]
    assert [dataset[i].row for i in range(3)] == [0, 1, 2]


def test_the_log_has_a_line_for_each_step(run):
    _, lines = run(changed(WHOLE, epochs=2))
    assert list(lines[0]) == ["step", "epoch", "loss", "learning_rate", "seconds"]
    assert [int(line["step"]) for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [float(line["epoch"]) for line in lines][2::3] == [1, 2]
    rates = [float(line["learning_rate"]) for line in lines]
    assert max(rates) <= WHOLE.learning_rate
    assert rates[1:] == sorted(rates[1:], reverse=True)
    seconds = [float(line["seconds"]) for line in lines]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("settings", [LORA, WHOLE], ids=["lora", "none"])
def test_recomputing_activations_changes_nothing(run, settings):
    """Dropout stays the same: a recomputed layer sees the random numbers of its first pass."""
    plain, _ = run(settings)
    frugal, _ = run(changed(settings, gradient_checkpointing=True))
    frugal = weights(frugal)
    for name, weight in weights(plain).items():
        steps = {"terms": 3 * 2 * chain(plain), "name": name}
        assert_close_vectors(frugal[name].flatten(), weight.flatten(), **steps)


@pytest.mark.parametrize("settings", [LORA, WHOLE], ids=["lora", "none"])
def test_bfloat16_rounds_but_trains(run, settings):
    """Each layer rounds by at most 2^-9, forward and backward; the weights stay float32."""
    _, exact = run(changed(settings, epochs=4, dropout=0))
    model, rounded = run(changed(settings, epochs=4, dropout=0, bf16=True))
    assert {w.dtype for w in model.parameters() if w.requires_grad} == {torch.float32}
    first, second = ([float(line["loss"]) for line in lines] for lines in (exact, rounded))
    assert first != second
    linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    layers = sum("lora_" not in name for name in linear)  # one after the other
    np.testing.assert_allclose(second[:3], first[:3], rtol=2 * layers**0.5 * 2**-9)
    assert np.mean(second[-3:]) < 0.95 * np.mean(second[:3])


def test_workers_change_nothing(run):
    """Neither order nor dropout depends on the processes that encode the samples."""
    alone, alone_log = run(changed(LORA, epochs=2))
    helped, helped_log = run(changed(LORA, epochs=2, workers=2))
    helped = weights(helped)
    assert all(torch.equal(weight, helped[name]) for name, weight in weights(alone).items())
    assert [line["loss"] for line in alone_log] == [line["loss"] for line in helped_log]


@pytest.mark.parametrize(
    ("changes", "advice", "no_advice"),
    [
        (
            {},
            ["batch_size, now 2", "gradient_accumulation, now 1", "gradient_checkpointing"],
            "LoRA",
        ),
        ({"gradient_checkpointing": True}, ["batch_size"], "gradient_checkpointing"),
        ({"adapter": "none"}, ["batch_size", "LoRA"], "device"),
    ],
)
def test_too_little_memory_names_the_settings_that_help(
    run, monkeypatch, changes, advice, no_advice
):
    def fail(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("transformers.Trainer.training_step", fail)
    with pytest.raises(InputError) as caught:
        run(changed(LORA, **changes))
    assert all(f"{words}" in str(caught.value) for words in advice)
    assert no_advice not in str(caught.value)


def test_max_steps_cuts_the_training_short(run):
    assert len(run(changed(LORA, epochs=5, max_steps=2))[1]) == 2


def test_frozen_weights_stay_and_the_others_move(run, tiny_vlm):
    before = weights(load_vlm(str(tiny_vlm), device="cpu").model)
    model, _ = run(changed(WHOLE, epochs=2))
    for name, weight in weights(model).items():
        if "vision_tower" in name:
            assert torch.equal(weight, before[name]), name
        elif "layernorm" not in name:
            assert not torch.equal(weight, before[name]), name


def test_only_adapters_and_named_modules_are_trained_with_lora(tiny_vlm):
    model = load_vlm(str(tiny_vlm), device="cpu").model
    settings = changed(LORA, train_modules=("multi_modal_projector", "embed_tokens"))
    trained = [
        n for n, w in prepare_model(model, settings, 0).named_parameters() if w.requires_grad
    ]
    assert any("embed_tokens.modules_to_save" in name for name in trained)
    assert any("multi_modal_projector.modules_to_save" in name for name in trained)
    assert all("lora_" in name or "modules_to_save" in name for name in trained)


def test_the_model_comes_back_ready_for_use(run):
    model, _ = run(LORA)
    assert not model.training


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (changed(WHOLE, freeze=("vision_towr",)), "finetune.freeze: 'vision_towr'"),
        (changed(WHOLE, freeze=(".",)), "nothing is left to train"),
        (changed(LORA, train_modules=("projector",)), "finetune.train_modules: .*'projector'"),
    ],
)
def test_names_that_fit_nothing_are_errors(tiny_vlm, settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        prepare_model(load_vlm(str(tiny_vlm), device="cpu").model, settings, 0)


def test_no_samples_is_an_error(run):
    with pytest.raises(ValueError, match="no samples"):
        run(LORA, rows=[])


def test_weights_that_are_not_finite_stop_the_training(run):
    with pytest.raises(InputError, match="weights are not finite at step 2: lower the learning"):
        run(changed(WHOLE, learning_rate=math.inf, epochs=3, max_grad_norm=0, warmup_ratio=0))


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_a_sample_whose_loss_is_not_finite_is_named(tiny_vlm, tiny_pool, tmp_path, batch_size):
    """An embedding that only one sample has is spoilt; the others of its batch are not named."""
    vlm, samples = load_vlm(str(tiny_vlm), device="cpu"), Samples(tiny_pool / "samples.parquet")
    dataset = SampleDataset(vlm, samples, ROWS, tiny_pool / "images")
    tokens = [set(sample.inputs["input_ids"].flatten().tolist()) for sample in dataset]
    own = [found - set().union(*tokens[:i], *tokens[i + 1 :]) for i, found in enumerate(tokens)]
    place = next(i for i, found in enumerate(own) if found)
    with torch.no_grad():
        vlm.model.get_input_embeddings().weight[own[place].pop()] = math.nan
    settings = changed(LORA, batch_size=batch_size)
    name = samples.frame(["sample_id"])["sample_id"][ROWS[place]]
    with pytest.raises(InputError, match=f"the loss of samples '{name}' is not finite at step"):
        train(vlm, samples, ROWS, tiny_pool / "images", settings, 0, tmp_path / "log.csv")


def test_a_broken_image_is_named(tiny_vlm, tiny_pool, tmp_path):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    samples = Samples(tiny_pool / "samples.parquet")
    (tmp_path / "a").mkdir()
    shutil.copy(tiny_pool / "images/a/0-0.png", tmp_path / "a")
    dataset = SampleDataset(vlm, samples, [0, 1], tmp_path)
    assert len(dataset[0]) > 0
    with pytest.raises(images.ImageError, match="b/1-0.png"):
        dataset[1]
