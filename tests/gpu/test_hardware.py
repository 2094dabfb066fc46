"""What only a real GPU can show: its memory, several processes, programs of its own."""

import csv
import gc
import importlib.util
import logging
from typing import NamedTuple

import faiss
import finetune_model
import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from finetune_runs import SCRIPT, finetune_flags, start
from safetensors.torch import load_file
from tiny_inputs import WORDS
from tiny_models import save_llava, word_tokenizer
from usual_models import attach_lora, load_vlm

from vlselect.checkpoints.launching import launch_command
from vlselect.clusters import kmeans
from vlselect.gradients import projection
from vlselect.gradients.per_sample import PerSampleGradients, project_gradients
from vlselect.models import batching
from vlselect.pool.samples import Samples

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPUS = torch.cuda.device_count()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Folder of a LLaVA of 100 million weights: large enough for its memory to be counted."""
    folder = tmp_path_factory.mktemp("large")
    return save_llava(folder, word_tokenizer(WORDS), hidden=1024, layers=8)


class Collected(NamedTuple):
    """Gradients (n, k), the limit of tokens at the end, sums' terms, bytes held and at the peak."""

    values: np.ndarray
    tokens: int | None
    terms: int
    held: int
    peak: int


def collect(folder, pool, kind="shifted", dim=512, **options):
    """Project the gradients of a pool on the GPU; leave nothing there."""
    vlm = load_vlm(str(folder), device="cuda", **options)
    vlm.model = attach_lora(vlm.model, rank=8, alpha=16, seed=0).eval()
    samples, found, terms = Samples(pool / "samples.parquet"), {}, 2 * chain(vlm.model)
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with PerSampleGradients(vlm.model) as per_sample:
        where = {"size": per_sample.size, "dim": dim, "seed": 0, "device": vlm.device}
        phi = projection.make(kind, nonzeros=3, implementation="auto", **where)
        given = (vlm, samples, range(len(samples)), pool / "images", per_sample, phi)
        for batch, _, vectors in project_gradients(*given, max_pixels=10**7):
            found |= dict(zip(batch.rows.tolist(), vectors.cpu().numpy(), strict=True))
    values = np.stack([found[row] for row in sorted(found)])
    done = Collected(values, vlm.batch_tokens, terms, held, torch.cuda.max_memory_allocated())
    del vlm, per_sample, phi, given, batch, vectors
    gc.collect()
    torch.cuda.empty_cache()
    return done


def test_too_little_memory_halves_the_batch(large, tiny_pool, monkeypatch, caplog):
    monkeypatch.setattr(batching, "SLACK", 1000)  # only memory limits the batches
    whole = collect(large, tiny_pool)
    total = torch.cuda.get_device_properties(0).total_memory
    allowed = whole.held + 0.4 * (whole.peak - whole.held)
    torch.cuda.set_per_process_memory_fraction(allowed / total)
    try:
        with caplog.at_level(logging.WARNING):
            small = collect(large, tiny_pool)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of GPU memory" in caplog.text and small.tokens
    assert_close_vectors(small.values, whole.values, terms=whole.terms)


def test_automatic_batches_stay_within_their_share_of_memory(large, tiny_pool, monkeypatch, capsys):
    monkeypatch.setattr(batching, "SLACK", 1000)
    whole = collect(large, tiny_pool)
    room, allowed = batching.GPUMemory.room, 0.5 * (whole.peak - whole.held)
    monkeypatch.setattr(batching.GPUMemory, "room", lambda self: min(allowed, room(self)))
    found = collect(large, tiny_pool, batch_tokens="auto")
    taken = collect(large, tiny_pool, batch_tokens=found.tokens)
    share = (taken.peak - taken.held) / allowed
    with capsys.disabled():
        print(f"\nauto: {found.tokens} tokens, {share:.0%} of the memory allowed is taken")
    assert 0.4 < share < 1.25
    assert_close_vectors(found.values, whole.values, terms=whole.terms)
    assert_close_vectors(found.values, taken.values, terms=whole.terms)


@pytest.mark.skipif(not importlib.util.find_spec("fast_jl"), reason="needs fast_jl")
@pytest.mark.parametrize("kind", ["rademacher", "normal"])
def test_dense_projections_keep_inner_products(kind, tiny_vlm, tiny_pool):
    whole = collect(tiny_vlm, tiny_pool, "shifted", 1 << 18).values
    found = collect(tiny_vlm, tiny_pool, kind, 4096).values
    lengths = np.linalg.norm(whole, axis=1)
    error = (found @ found.T - whole @ whole.T) / np.outer(lengths, lengths)
    assert np.sqrt((error**2).mean()) < 4 / 4096**0.5


def losses(folder):
    with (folder / "training_log.csv").open(encoding="utf-8") as file:
        return [float(line["loss"]) for line in csv.DictReader(file)]


@pytest.mark.parametrize("bf16", [False, True])
def test_a_training_is_that_of_the_cpu(bf16, tiny_vlm, tiny_pool, tmp_path):
    settings = {"dropout": 0.0, "epochs": 1, "learning_rate": 1e-3, "bf16": bf16}
    for device in ("cpu", "cuda"):
        flags = finetune_flags(tiny_vlm, tiny_pool, tmp_path / device, range(16), **settings)
        finetune_model.main([*flags, "--device", device])
    expected, found = (losses(tmp_path / device) for device in ("cpu", "cuda"))
    assert found == pytest.approx(expected, rel=2e-2 if bf16 else 1e-4)


@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
def test_two_processes_train_as_one_does(tiny_vlm, tiny_pool, tmp_path):
    settings = {"dropout": 0.0, "gradient_accumulation": 2, "epochs": 2, "learning_rate": 1e-2}
    for n, launch in ((1, launch_command(1, 1)), (2, launch_command(2, 1))):
        flags = finetune_flags(
            tiny_vlm, tiny_pool, tmp_path / str(n), range(16), processes=n, **settings
        )
        done = start([*launch, SCRIPT, *flags, "--device", "cuda"])
        assert done.returncode == 0, done.stdout
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in "12")
    terms = 16 * chain(load_vlm(str(tiny_vlm)).model)
    for name, weight in one.items():
        assert_close_vectors(two[name].flatten(), weight.flatten(), terms=terms, name=name)


@pytest.mark.skipif(not hasattr(faiss, "StandardGpuResources"), reason="needs faiss's GPU build")
def test_k_means_finds_the_same_clusters():
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(64, 64)))[0][:16]
    rows = (centres[rng.integers(0, 16, 4000)] + 0.02 * rng.normal(size=(4000, 64))).astype("f2")
    found = [kmeans.train(rows, 16, iterations=50, seed=0, device=d) for d in ("cpu", "gpu")]
    assert np.allclose((found[0] @ found[1].T).max(axis=1), 1, atol=1e-3)
