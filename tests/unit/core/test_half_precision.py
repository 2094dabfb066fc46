"""Values that a stored dtype cannot hold are refused by sample name, wherever values are stored."""

import logging
from functools import partial

import numpy as np
import pytest
import torch
from trak.projectors import BasicProjector, ProjectionType
from usual_models import attach_lora, load_vlm

from vlselect.core import half, store
from vlselect.features.attended import extract_attended, instruction_rows
from vlselect.features.forward_pass import extract_features, to_finite
from vlselect.gradients import projection
from vlselect.gradients.per_sample import (
    PerSampleGradients,
    normalise,
    project_gradients,
    require_norms,
)
from vlselect.pool.samples import Samples

project_gradients = partial(project_gradients, max_pixels=10**7)

SMALLEST = 2.0**-24  # the smallest positive float16
IDS = ["a", "b", "c"]
USUAL = {"nonzeros": 3, "implementation": "auto"}  # of projections


def rows(middle):
    return np.array([[1, 2], middle, [0, 0]], np.float32)


@pytest.mark.parametrize(
    ("middle", "complaint"),
    [
        ([1, 1e6], "overflows"),
        ([1, -65520], "overflows"),
        ([1, np.inf], "not finite"),
        ([1, np.nan], "not finite"),
        ([1e-9, -1e-30], "underflows"),
        ([SMALLEST / 2, 0], "underflows"),  # a tie, rounded to the even number, 0
    ],
)
def test_what_float16_cannot_hold_is_refused_by_name(middle, complaint):
    with pytest.raises(ValueError, match=f"last_token of sample 'b' .*{complaint}.* float16"):
        half.to_stored(rows(middle), np.float16, "last_token", IDS)
    with pytest.raises(ValueError, match=f"last_token of sample 'b' .*{complaint}"):
        to_finite(torch.from_numpy(rows(middle)), np.float16, "last_token", IDS)


@pytest.mark.parametrize("middle", [[65504, 0], [SMALLEST, 0], [1, 1e-30], [0, 0]])
def test_what_it_can_hold_is_stored_and_zeros_stay(middle):
    """A single value may round to zero, as long as its row does not."""
    stored = half.to_stored(rows(middle), np.float16, "clip", IDS)
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, rows(middle).astype(np.float16))


@pytest.mark.parametrize("middle", [[1, 1e6], [1e-9, 0], [1, np.nan]])
def test_a_shard_names_the_sample_or_its_row_and_leaves_no_file(tmp_path, middle):
    for names, who in (
        (IDS, "gradients of sample 'b'"),
        (None, "gradients of row 65 "),
    ):
        header = {"kind": "gradients", "rows": "64:67"}
        path = tmp_path / "a"
        writer = store.ShardWriter(path, (3, 2), np.float16, header)
        with pytest.raises(ValueError, match=who), writer:
            writer.write(slice(0, 3), rows(middle), names)
        assert list(tmp_path.iterdir()) == []


def test_a_text_only_batch_has_attended_rows_of_zeros(tiny_vlm, tiny_pool):
    vlm = load_vlm(str(tiny_vlm), device="cpu", attention="eager")
    samples = Samples(tiny_pool / "samples.parquet")
    encoded = [vlm.encode(r, []) for r in samples.records(range(24)) if not r.images]
    batch = vlm.collate(encoded)
    prompt = instruction_rows(batch, "prompt", vlm.special)
    layers = vlm.language_layers
    values, _ = extract_attended(vlm.model, layers, batch, prompt, layer=1, mass=0.9)
    assert len(values) == 4 and not values.any()


@pytest.mark.parametrize(("scale", "fault"), [(1e-12, "underflows to zero"), (1e12, "overflows")])
def test_a_hidden_state_that_float16_cannot_hold_is_named(tiny_vlm, tiny_pool, scale, fault):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    samples = Samples(tiny_pool / "samples.parquet")
    batch = vlm.collate([vlm.encode(r, []) for r in samples.records(range(24)) if not r.images])

    def spoil(module, args, output):
        output[2] *= scale
        return output

    vlm.model.get_decoder().norm.register_forward_hook(spoil)
    with pytest.raises(ValueError, match=f"last_token of sample {batch.sample_ids[2]!r} {fault}"):
        extract_features(vlm.model, vlm.language_layers, batch, layers=[1], variant="released")


def test_a_gradient_whose_norm_is_kept_is_checked_as_the_others_are(caplog):
    values = np.array([[3, 4], [0, 0], [0, 0]], np.float32)
    assert require_norms(values, np.array([1.0, 0, 0]), IDS).tolist() == [5, 0, 0]
    assert "sample 'b' has loss 0" in caplog.text
    for check in (require_norms, normalise):
        with pytest.raises(ValueError, match="sample 'c' has norm 0.0 at a loss of 0.5"):
            check(values, np.array([1.0, 0, 0.5]), IDS)


class HalfProjector:
    """Stands in for trak's CudaProjector, whose kernel casts gradients to float16."""

    def __init__(self, grad_dim, proj_dim, seed, proj_type, device, max_batch_size):
        assert max_batch_size == projection.CUDA_ROWS
        cpu = torch.device("cpu")
        self._exact = BasicProjector(grad_dim, proj_dim, seed, ProjectionType(proj_type), cpu)
        self.seen = []

    def project(self, grads, model_id):
        assert len(grads) <= projection.CUDA_ROWS
        self.seen.append(grads.half())
        return self._exact.project(self.seen[-1].float(), model_id)


@pytest.fixture
def cuda(monkeypatch):
    """Make a dense projection that runs its GPU code on the CPU, with the stand-in."""

    def make(size):
        monkeypatch.setattr(projection, "CudaProjector", HalfProjector)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
        where = {"size": size, "dim": 512, "seed": 0, "device": torch.device("cuda"), **USUAL}
        phi = projection.make("rademacher", **where)
        phi.device = torch.device("cpu")  # where buffers are made
        return phi

    return make


@pytest.mark.parametrize("norm", [1e-30, 1e-6, 1e-4, 1.0, 1e3, 1e30])
def test_the_gpu_projection_sees_rows_of_unit_norm_and_keeps_norms(cuda, norm):
    """In float16, rows below 1e-4 would vanish and rows above 65504 would be infinite."""
    size = 20_000
    x = torch.randn(11, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x *= norm / x.norm(dim=1, keepdim=True)
    x[4] = 0  # stays zero and divides nothing
    phi = cuda(size)
    found = projection.project(phi, x.float())
    norms = torch.cat(phi._projector.seen).double().norm(dim=1)
    expected = torch.ones(11).double()
    expected[4] = 0
    # Rounding to float16 errs by half a unit of each value, or of the smallest float16.
    error = 2.0**-11 + SMALLEST / 2 * size**0.5
    torch.testing.assert_close(norms, expected, rtol=0, atol=error)
    exact = BasicProjector(size, 512, 0, ProjectionType("rademacher"), torch.device("cpu"))
    exact = exact.project(x.float() / norm, 0).double() / 512**0.5
    assert found.dtype == torch.float32 and not found[4].any()
    errors = (found.double() / norm - exact).norm(dim=1)
    # A projection multiplies lengths by at most 1 + sqrt(size / 512), for any vector.
    assert (errors <= error * (1 + (size / 512) ** 0.5)).all()
    scaled = normalise(found.numpy(), np.r_[np.ones(4), 0, np.ones(6)], [str(i) for i in range(11)])
    assert scaled.shape == (11, 512)


def test_a_gradient_that_is_not_finite_stays_so_and_alone(cuda):
    x = torch.ones(3, 600)
    x[1, 7], x[2, 9] = torch.nan, torch.inf
    found = projection.project(cuda(600), x)
    assert found.isfinite().all(dim=1).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="gradient of sample 'b'"):
        normalise(found.numpy(), np.ones(3), IDS)


class ShortOnce:
    """A projection whose first buffers do not fit into memory."""

    def __init__(self, phi, most):
        self._phi, self._most, self.failed = phi, most, []

    def begin(self, n_samples):
        if n_samples > self._most:
            self.failed.append(n_samples)
            raise torch.OutOfMemoryError("simulated")
        return self._phi.begin(n_samples)


def test_buffers_of_a_projection_that_do_not_fit_halve_the_batch(
    tiny_vlm, tiny_pool, monkeypatch, caplog
):
    monkeypatch.setattr("vlselect.models.batching.SLACK", 1000)  # only memory limits the batches
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    vlm.model = attach_lora(vlm.model, rank=2, alpha=4, seed=0).eval()
    vlm.batch_size = 64
    samples = Samples(tiny_pool / "samples.parquet")
    with PerSampleGradients(vlm.model) as per_sample:
        where = {"size": per_sample.size, "dim": 16, "seed": 0, "device": vlm.device, **USUAL}
        phi = ShortOnce(projection.make("sjlt", **where), 12)
        run = (vlm, samples, range(24), tiny_pool / "images", per_sample)
        with caplog.at_level(logging.WARNING):
            found = [b.rows for b, *_ in project_gradients(*run, phi)]
        assert phi.failed[0] == 24 and "out of GPU memory" in caplog.text
        assert sorted(np.concatenate(found).tolist()) == list(range(24))
        with pytest.raises(torch.OutOfMemoryError):
            list(project_gradients(*run, ShortOnce(phi, 0)))
