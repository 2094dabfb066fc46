"""batch_tokens: auto, with a simulated GPU memory: nothing over it, little under it, any shard."""

from functools import partial

import numpy as np
import pytest
import torch
from usual_models import load_vlm

from vlselect.core.shard_files import shard_rows
from vlselect.models import batching
from vlselect.models.batching import ON_CPU, Trial, batches, by_length, bytes_each, fit_tokens
from vlselect.models.vlm import VLM
from vlselect.pool.samples import Samples

batches = partial(batches, max_pixels=10**7)


class Sample:
    def __init__(self, row, length):
        self.row, self.length = row, length

    def __len__(self):
        return self.length


class Simulated:
    """A memory of `total` bytes, in which a run takes what `cost` says, and once `workspace`."""

    def __init__(self, total, cost, workspace=0):
        self.total, self.cost, self.workspace = total, cost, workspace
        self.ran, self.held = [], 0

    def run(self, batch):
        self.ran.append(batch)

    def room(self):
        return self.total - self.held

    def taken(self, run):
        run()
        first = self.workspace if len(self.ran) == 1 else 0
        return self.cost(self.ran[-1]) + first


def linear(batch, token=1000, sample=200_000):
    longest = max(map(len, batch))
    return token * longest * len(batch) + sample * len(batch)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cost", [linear, partial(linear, sample=0), partial(linear, token=90)])
def test_every_batch_fits_and_half_as_large_ones_were_not_needed(cost, seed):
    lengths = np.random.default_rng(seed).integers(100, 2000, size=64).tolist()
    given = [Sample(row, length) for row, length in enumerate(lengths)]
    total = 17 * cost([Sample(0, 2000)])
    memory = Simulated(total, cost, workspace=10**9)
    limit = fit_tokens(given, memory.run, 16, memory)
    sizes = [cost(batch) for batch in by_length(given, 16, limit)]
    assert max(sizes) <= total
    everything = [Sample(row, 2000) for row in range(64)]
    largest = [cost(batch) for batch in by_length(everything, 16, limit)]
    assert total / 2 < max(largest) <= total
    assert max(map(len, memory.ran)) <= 64 and len(memory.ran) == 3


def test_costs_of_tokens_and_samples_are_told_apart_where_lengths_allow_it():
    assert bytes_each([500, 400], [1, 4], [500 * 7 + 90, 400 * 7 + 4 * 90]) == (7, 90)
    assert bytes_each([100, 200], [1, 2], [790, 1580]) == (7.9, 0)  # of one length
    token, sample = bytes_each([500, 400], [1, 4], [5000, 3000])  # samples would take less than 0
    assert (token, sample) == (10, 0)


def test_little_differences_change_no_limit():
    given = [Sample(row, 50 + 10 * row) for row in range(20)]
    limits = set()
    for noise in np.linspace(0, 0.02, 9):
        memory = Simulated(5_000_000, partial(linear, token=1000 * (1 + noise), sample=0))
        limits.add(fit_tokens(given, memory.run, 64, memory))
    assert limits == {4096}


@pytest.fixture
def on_gpu(monkeypatch):
    """A function: let models be on a device that is no CPU, with a simulated memory."""

    def simulate(total):
        memory = Simulated(total, lambda batch: 1000 * batch)
        monkeypatch.setattr(VLM, "device", torch.device("meta"))
        monkeypatch.setattr(batching, "GPUMemory", lambda device: memory)
        monkeypatch.setattr(batching, "BLOCK", 8)
        return memory, lambda batch: memory.run(batch.inputs["input_ids"].numel())

    return simulate


@pytest.mark.parametrize("prompts", [False, True])
def test_shards_have_the_same_limit_and_batches_as_the_whole(tiny_vlm, tiny_pool, on_gpu, prompts):
    samples, root = Samples(tiny_pool / "samples.parquet"), tiny_pool / "images"
    memory, run = on_gpu(100_000)
    found, limits = [], []
    for n in (1, 3):
        found.append([])
        for i in range(n):
            vlm = load_vlm(str(tiny_vlm), batch_size=8, batch_tokens="auto")
            rows = shard_rows(len(samples), f"{i + 1}-of-{n}", block=8)
            trial = Trial(run, range(len(samples)))
            here = list(batches(vlm, samples, rows, root, prompts=prompts, trial=trial))
            found[-1] += [batch.rows.tolist() for batch in here]
            limits.append(vlm.batch_tokens)
            assert max(batch.response.numel() for batch in here) <= vlm.batch_tokens
    assert found[0] == found[1] and limits == [limits[0]] * 4 and limits[0] in (80, 96)
    assert max(map(len, found[0])) > 1 and len(memory.ran) == 4 * 3


def test_a_pass_without_a_trial_is_an_error_and_not_without_limit(tiny_vlm, tiny_pool, on_gpu):
    samples, root = Samples(tiny_pool / "samples.parquet"), tiny_pool / "images"
    on_gpu(100_000)
    vlm = load_vlm(str(tiny_vlm), batch_tokens="auto")
    assert not list(batches(vlm, samples, [], root))
    with pytest.raises(ValueError, match="batch_tokens is auto"):
        list(batches(vlm, samples, range(4), root))


def test_on_a_cpu_the_limit_is_a_fixed_one(tiny_vlm, tiny_pool):
    samples, root = Samples(tiny_pool / "samples.parquet"), tiny_pool / "images"
    found = []
    for tokens in ("auto", ON_CPU):
        vlm = load_vlm(str(tiny_vlm), batch_tokens=tokens)
        rows = batches(vlm, samples, range(len(samples)), root)
        found.append([batch.rows.tolist() for batch in rows])
    assert found[0] == found[1] and vlm.batch_tokens == 1024
