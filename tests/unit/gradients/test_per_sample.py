import logging
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain, distances, rounding
from peft import LoraConfig, get_peft_model
from torch import nn
from usual_models import attach_lora, load_vlm

from vlselect.gradients import projection
from vlselect.gradients.per_sample import (
    PerSampleGradients,
    by_sample,
    normalise,
    project_gradients,
    response_losses,
)
from vlselect.pool import images
from vlselect.pool.samples import Samples

project_gradients = partial(project_gradients, max_pixels=10**7)

pytestmark = pytest.mark.numeric

USUAL = {"nonzeros": 3, "implementation": "auto"}  # of projections


def spread(model):
    """Set every LoRA weight, since with B = 0 the gradient of A is zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def load(path, dtype="float32", **options):
    vlm = load_vlm(str(path), dtype=dtype, device="cpu")
    vlm.model = spread(attach_lora(vlm.model, rank=3, alpha=7, seed=0, **options))
    return vlm


@pytest.fixture(scope="module")
def vlm(tiny_vlm):
    return load(tiny_vlm)


@pytest.fixture(scope="module")
def samples(tiny_pool):
    return Samples(tiny_pool / "samples.parquet")


@pytest.fixture(scope="module")
def encoded(vlm, samples, tiny_pool):
    """The first twelve samples: one to three turns, with one image, two or none."""
    result = []
    for row, record in enumerate(samples.records(range(12))):
        pictures = [images.load(tiny_pool / "images", name, 10**7) for name in record.images]
        result.append(replace(vlm.encode(record, pictures), row=row))
    assert len({len(sample) for sample in result}) > 4  # to have padding
    assert sorted({len(record.images) for record in samples.records(range(12))}) == [0, 1, 2]
    assert max(record.n_exchanges for record in samples.records(range(12))) > 1
    return result


def reference_loss(vlm, sample):
    """Compute the mean loss of one sample's response tokens."""
    batch = vlm.collate([sample])
    logits = vlm.model(**batch.inputs).logits[0].float()
    ids = batch.inputs["input_ids"][0]
    places = [t for t in range(1, len(ids)) if sample.response[t]]
    return torch.stack([-logits[t - 1].log_softmax(0)[ids[t]] for t in places]).mean()


def reference_gradients(vlm, sample):
    """Compute the gradients of one sample by autograd, in the order of the named parameters."""
    weights = [p for name, p in vlm.model.named_parameters() if "lora_" in name]
    for weight in weights:
        weight.requires_grad_(True)
    return torch.autograd.grad(reference_loss(vlm, sample), weights)


def assert_same_gradients(per_sample, rows, expected, terms):
    """Compare matrix by matrix, by the relative error of each."""
    assert rows.shape == (len(expected), per_sample.size)
    for row, matrices in zip(rows, expected, strict=True):
        assert len(matrices) == len(per_sample.matrices)
        for place, matrix in zip(per_sample.matrices, matrices, strict=True):
            ours = row[place.offset : place.offset + matrix.numel()].view(matrix.shape)
            assert matrix.norm() > 0, place.name
            assert_close_vectors(ours.flatten(), matrix.flatten(), terms=terms, name=place.name)


@pytest.mark.parametrize("side", ["left", "right"])
def test_agree_with_autograd_on_single_samples_for_every_parameter(vlm, encoded, side):
    batch = vlm.collate(encoded, padding_side=side)
    assert not batch.inputs["attention_mask"].all()
    with PerSampleGradients(vlm.model) as per_sample:
        rows = per_sample.gradients(batch)
    assert per_sample.size == sum(
        p.numel() for name, p in vlm.model.named_parameters() if "lora_" in name
    )
    expected = [reference_gradients(vlm, sample) for sample in encoded]
    assert_same_gradients(per_sample, rows, expected, 2 * chain(vlm.model))


def test_text_only_batch_agrees_with_autograd(vlm, encoded):
    chosen = [sample for sample in encoded if not sample.image.any()]
    with PerSampleGradients(vlm.model) as per_sample:
        rows = per_sample.gradients(vlm.collate(chosen))
    expected = [reference_gradients(vlm, sample) for sample in chosen]
    assert_same_gradients(per_sample, rows, expected, 2 * chain(vlm.model))


def test_losses_are_the_mean_over_response_tokens(vlm, encoded):
    losses = response_losses(vlm.model, vlm.collate(encoded))
    expected = torch.stack([reference_loss(vlm, sample) for sample in encoded])
    assert_close_vectors(losses, expected, terms=chain(vlm.model))


def test_neither_batch_size_nor_order_matters(vlm, encoded):
    with PerSampleGradients(vlm.model) as per_sample:
        whole = per_sample.gradients(vlm.collate(encoded))
        order = [7, 2, 11, 0, 5, 9, 1, 3, 10, 4, 8, 6]
        parts = [order[:5], order[5:6], order[6:]]
        pieces = [per_sample.gradients(vlm.collate([encoded[i] for i in p])) for p in parts]
    assert_close_vectors(torch.cat(pieces), whole[order], terms=2 * chain(vlm.model))


def test_swapped_samples_and_a_mask_off_by_one_token_exceed_rounding(vlm, encoded):
    batch, terms = vlm.collate(encoded), 2 * chain(vlm.model)
    with PerSampleGradients(vlm.model) as per_sample:
        whole = per_sample.gradients(batch)
        last = batch.response[5].nonzero()[-1]
        batch.response[5, last] = False
        off = per_sample.gradients(batch)
    swapped = whole[[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 9, 11]]
    for wrong, places in ((swapped, [9, 10]), (off, [5])):
        assert np.flatnonzero(distances(wrong, whole) > rounding(terms)).tolist() == places
        with pytest.raises(AssertionError, match="is off by"):
            assert_close_vectors(wrong, whole, terms=terms)


def test_only_some_layers_adapted_and_nothing_below_them_differentiated(tiny_vlm, encoded):
    vlm = load(tiny_vlm, target_modules=r".*layers\.[23]\.(self_attn\.v_proj|mlp\.down_proj)")
    seen = []
    for i, layer in enumerate(vlm.language_layers):
        layer.register_forward_hook(lambda m, args, out, i=i: seen.append((i, out.requires_grad)))
    with PerSampleGradients(vlm.model) as per_sample:
        rows = per_sample.gradients(vlm.collate(encoded[:4]))
    assert seen == [(0, False), (1, False), (2, True), (3, True)]
    expected = [reference_gradients(vlm, sample) for sample in encoded[:4]]
    assert_same_gradients(per_sample, rows, expected, 2 * chain(vlm.model))


def test_no_parameter_gets_a_gradient_and_trainability_is_put_back(tiny_vlm, encoded):
    vlm = load(tiny_vlm)
    trainable = {name for name, p in vlm.model.named_parameters() if p.requires_grad}
    with PerSampleGradients(vlm.model) as per_sample:
        assert not any(p.requires_grad for p in vlm.model.parameters())
        per_sample.gradients(vlm.collate(encoded[:3]))
    assert all(p.grad is None for p in vlm.model.parameters())
    assert {name for name, p in vlm.model.named_parameters() if p.requires_grad} == trainable
    assert not any(m._forward_hooks for name, m in vlm.model.named_modules() if "lora_" in name)


def test_blocks_come_one_by_one_during_the_backward_pass(vlm, encoded):
    blocks = []
    with PerSampleGradients(vlm.model) as per_sample:
        batch = vlm.collate(encoded[:4])
        losses = per_sample.stream(batch, lambda offset, block: blocks.append((offset, block)))
        whole = per_sample.gradients(batch)
    assert not losses.requires_grad
    assert len(blocks) == 56
    assert {offset for offset, _ in blocks} == {m.offset for m in per_sample.matrices}
    assert [offset for offset, _ in blocks] != sorted(offset for offset, _ in blocks)
    for offset, block in blocks:
        assert block.dtype == torch.float32
        assert torch.equal(block, whole[:, offset : offset + block.shape[1]])


def test_streaming_into_a_projection_is_projecting_the_whole(vlm, encoded):
    with PerSampleGradients(vlm.model) as per_sample:
        batch = vlm.collate(encoded)
        whole = per_sample.gradients(batch)
        for kind in projection.TYPES:
            where = {"size": per_sample.size, "dim": 32, "seed": 0, "device": vlm.device, **USUAL}
            phi = projection.make(kind, **where)
            accumulator = phi.begin(len(batch))
            per_sample.stream(batch, accumulator.add)
            found, expected = accumulator.result(), projection.project(phi, whole)
            if kind == "shifted":  # its sums are float32, in another order
                assert_close_vectors(found, expected, terms=per_sample.size / 32)
            else:
                assert torch.equal(found, expected)


def test_bfloat16_models_give_float32_gradients(tiny_vlm, vlm, encoded):
    half = load(tiny_vlm, dtype="bfloat16")
    with PerSampleGradients(vlm.model) as exact, PerSampleGradients(half.model) as rounded:
        expected = exact.gradients(vlm.collate(encoded))
        rows = rounded.gradients(half.collate(encoded))
    assert rows.dtype == torch.float32
    assert (nn.functional.cosine_similarity(rows, expected, dim=1) > 0.98).all()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_training_mode_is_refused_and_dropout_is_off_in_evaluation(tiny_vlm, encoded, dropout):
    vlm = load(tiny_vlm, dropout=dropout)
    batch = vlm.collate(encoded[:2])
    with PerSampleGradients(vlm.model) as per_sample:
        assert torch.equal(per_sample.gradients(batch), per_sample.gradients(batch))
    next(m for name, m in vlm.model.named_modules() if name.endswith("lora_dropout")).train()
    with pytest.raises(ValueError, match="lora_dropout' is in training mode"):
        PerSampleGradients(vlm.model).__enter__()


def test_sample_without_a_response_is_named(vlm, encoded):
    batch = vlm.collate(encoded[:3])
    batch.response[1] = False
    with pytest.raises(ValueError, match=repr(encoded[1].sample_id)):
        response_losses(vlm.model, batch)


def test_disabled_adapter_is_noticed(vlm, encoded):
    batch = vlm.collate(encoded[:2])
    per_sample = PerSampleGradients(vlm.model)
    message = "no LoRA layer ran"
    with vlm.model.disable_adapter(), per_sample, pytest.raises(RuntimeError, match=message):
        per_sample.gradients(batch)


def test_lora_outside_the_language_model_is_noticed(tiny_vlm, vlm):
    PerSampleGradients(vlm.model).require_inside(vlm.model.get_decoder())
    other = load(tiny_vlm, target_modules=r".*(q_proj|multi_modal_projector\.linear_1)")
    with pytest.raises(ValueError, match=r"(vision|projector).* is outside the language model"):
        PerSampleGradients(other.model).require_inside(other.model.get_decoder())


class Toy(nn.Module):
    """Layers used in ways that do not occur in the tiny VLM, behind a frozen trunk."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(5, 6)
        self.again = nn.Linear(6, 6)  # runs twice
        self.tokens = nn.Linear(6, 4)  # gets the tokens of all samples in one row of vectors
        self.grid = nn.Linear(4, 4)  # gets (B, T / 2, 2, d)
        self.pooled = nn.Linear(4, 3)  # gets one vector per sample
        self.idle = nn.Linear(4, 3)  # never runs
        self.unused = nn.Linear(4, 3)  # runs, but not for the loss

    def forward(self, x):  # (B, T, 5)
        h = torch.tanh(self.again(torch.tanh(self.again(torch.tanh(self.trunk(x))))))
        h = torch.tanh(self.tokens(h.flatten(0, 1))).view(*x.shape[:2], 4)
        h = torch.tanh(self.grid(h.unflatten(1, (-1, 2)))).flatten(1, 2)
        self.unused(h)
        return self.pooled(h.mean(dim=1)).square().sum(dim=1)


NAMES = ["again", "tokens", "grid", "pooled", "idle", "unused"]


def toy(**options):
    torch.manual_seed(0)
    model = Toy()
    config = LoraConfig(r=2, lora_alpha=4, **{"target_modules": NAMES, **options})
    return spread(get_peft_model(model, config))


def toy_batch(n=5):
    x = torch.randn(n, 4, 5, generator=torch.Generator().manual_seed(1))
    return SimpleNamespace(x=x, response=torch.ones(n, 4, dtype=torch.bool))


def toy_losses(model, batch):
    return model(batch.x)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_layers_that_run_twice_never_or_on_other_shapes(n):
    model, batch = toy(), toy_batch(n)
    with PerSampleGradients(model, toy_losses) as per_sample:
        rows = per_sample.gradients(batch)
    weights = [matrix.layer.weight for matrix in per_sample.matrices]
    assert len(weights) == 12
    for row, x in zip(rows, batch.x, strict=True):
        expected = torch.autograd.grad(model(x[None]).sum(), weights, allow_unused=True)
        for place, matrix in zip(per_sample.matrices, expected, strict=True):
            ours = row[place.offset : place.offset + place.layer.weight.numel()]
            if matrix is None:
                assert ".idle." in place.name or ".unused." in place.name
                assert (ours == 0).all()
            else:
                flat = matrix.flatten()
                assert_close_vectors(ours, flat, terms=2 * chain(model), name=place.name)


def test_flattening_follows_the_named_parameters():
    model = toy()
    per_sample = PerSampleGradients(model, toy_losses)
    named = [(n, p) for n, p in model.named_parameters() if "lora_" in n]
    assert [m.name for m in per_sample.matrices] == [n for n, _ in named]
    ends = np.cumsum([0] + [p.numel() for _, p in named]).tolist()
    assert [m.offset for m in per_sample.matrices] == ends[:-1]
    assert per_sample.size == ends[-1]


@pytest.mark.parametrize("options", [{"use_dora": True}, {"bias": "lora_only", "lora_bias": True}])
def test_adapters_with_weights_of_another_kind_are_refused(options):
    with pytest.raises(ValueError, match="is not the A or B of a LoRA"):
        PerSampleGradients(toy(**options))


def test_model_without_lora_is_refused():
    with pytest.raises(ValueError, match="no LoRA weights"):
        PerSampleGradients(Toy())


def test_losses_have_to_be_one_for_each_sample():
    per_sample = PerSampleGradients(toy(), lambda m, b: m(b.x).mean())
    with per_sample, pytest.raises(RuntimeError, match=r"shape \(\) for 5 samples"):
        per_sample.gradients(toy_batch())


def test_activations_of_unknown_layout_are_refused():
    x = torch.arange(24.0).view(2, 3, 4)
    assert torch.equal(by_sample(x, 2, 3, "w"), x)
    assert torch.equal(by_sample(x.flatten(0, 1), 2, 3, "w"), x)
    assert by_sample(x[:, 0], 2, 3, "w").shape == (2, 1, 4)
    for values in (x.flatten(0, 1)[:5], x.view(3, 2, 4), x.view(1, 6, 4), x.flatten()):
        with pytest.raises(RuntimeError, match="activations at w have shape"):
            by_sample(values, 2, 3, "w")


def collect(vlm, samples, folder, rows):
    """Project the gradients of some rows; return a dict from row to vector."""
    result = {}
    with PerSampleGradients(vlm.model) as per_sample:
        where = {"size": per_sample.size, "dim": 64, "seed": 0, "device": vlm.device, **USUAL}
        phi = projection.make("sjlt", **where)
        for batch, losses, projected in project_gradients(
            vlm, samples, rows, folder / "images", per_sample, phi
        ):
            assert losses.shape == (len(batch),)
            result |= dict(zip(batch.rows.tolist(), projected, strict=True))
    return result


def test_every_row_is_projected_once_whatever_the_batch_size(tiny_vlm, samples, tiny_pool):
    vlm = load(tiny_vlm)
    vlm.batch_size = 64
    whole = collect(vlm, samples, tiny_pool, range(24))
    vlm.batch_size = 5
    small = collect(vlm, samples, tiny_pool, range(24))
    vlm.batch_size, vlm.batch_tokens = 64, 90
    short = collect(vlm, samples, tiny_pool, range(24))
    assert sorted(whole) == sorted(small) == sorted(short) == list(range(24))
    for row in whole:
        for other in (small, short):
            assert_close_vectors(other[row], whole[row], terms=2 * chain(vlm.model))


def test_too_little_gpu_memory_halves_the_batch(tiny_vlm, samples, tiny_pool, monkeypatch, caplog):
    monkeypatch.setattr("vlselect.models.batching.SLACK", 1000)  # only memory limits the batches
    vlm = load(tiny_vlm)
    vlm.batch_size = 64
    expected = collect(vlm, samples, tiny_pool, range(24))
    stream, passed, failed = PerSampleGradients.stream, [], []

    def short_of_memory(self, batch, consume):
        losses = stream(self, batch, consume)  # what it consumed before the failure must not count
        tokens = batch.response.numel()
        (failed if tokens > 200 else passed).append(tokens)
        if tokens > 200:
            raise torch.OutOfMemoryError("simulated")
        return losses

    monkeypatch.setattr(PerSampleGradients, "stream", short_of_memory)
    with caplog.at_level(logging.WARNING):
        result = collect(vlm, samples, tiny_pool, range(24))
    limits = [
        record.args[0]
        for record in caplog.records
        if record.name == "vlselect.gradients.per_sample"
    ]
    assert len(limits) == len(failed) > 1 and limits[0] == failed[0] // 2
    assert limits == sorted(limits, reverse=True) and limits[-1] == vlm.batch_tokens <= 200
    assert max(passed) > 100  # no smaller than needed
    for row in range(24):
        assert_close_vectors(result[row], expected[row], terms=2 * chain(vlm.model))

    def no_memory(self, batch, consume):
        raise torch.OutOfMemoryError("simulated")

    monkeypatch.setattr(PerSampleGradients, "stream", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        collect(vlm, samples, tiny_pool, range(24))


def test_rows_are_divided_by_their_norms():
    values = np.array([[3.0, 4.0], [0.0, 1e-20]], dtype=np.float32)
    result = normalise(values, np.ones(2), ["a", "b"])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)


def test_zero_gradient_is_kept_at_zero_loss_and_refused_elsewhere(caplog):
    values = np.zeros((2, 3), dtype=np.float32)
    values[0] = 1
    assert (normalise(values, np.array([1.0, 0.0]), ["a", "b"])[1] == 0).all()
    assert "sample 'b' has loss 0" in caplog.text
    with pytest.raises(ValueError, match=r"sample 'b' has norm 0.0 at a loss of 0.5"):
        normalise(values, np.array([1.0, 0.5]), ["a", "b"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gradients_that_are_not_finite_are_refused(bad):
    values = np.ones((2, 3), dtype=np.float32)
    values[1, 1] = bad
    with pytest.raises(ValueError, match="sample 'b'"):
        normalise(values, np.ones(2), ["a", "b"])
