"""Samples a second, share of the device's own matrix rate and peak memory; on a CPU, that it runs.

`make test-gpu` prints the table.
"""

import time
from functools import partial

import pytest
import torch
from tiny_inputs import WORDS
from tiny_models import save_llava, word_tokenizer
from usual_models import attach_lora, load_vlm

from vlselect.features.forward_pass import extract_features
from vlselect.gradients import projection
from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.models.batching import batches
from vlselect.plan import arithmetic
from vlselect.plan.arithmetic import Sample
from vlselect.plan.shapes import shape_of
from vlselect.pool.samples import Samples

REAL = torch.cuda.is_available()
DEVICE = torch.device("cuda" if REAL else "cpu")
TIMES = 5 if REAL else 1


def seconds(run) -> float:
    """Return the mean time of a run, after one that is not counted."""
    run()
    if REAL:
        torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(TIMES):
        run()
    if REAL:
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / TIMES


def matrix_rate() -> float:
    """Return the operations a second of a large product in bfloat16."""
    n = 8192 if REAL else 128
    left, right = (torch.ones(n, n, dtype=torch.bfloat16, device=DEVICE) for _ in range(2))
    return 2 * n**3 / seconds(lambda: left @ right)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    size = {"hidden": 1024, "layers": 8} if REAL else {}
    return save_llava(tmp_path_factory.mktemp("large"), word_tokenizer(WORDS), **size)


@pytest.mark.parametrize("kind", ["features", "shifted", "sjlt"])
def test_rates(kind, large, tiny_pool, capsys):
    vlm = load_vlm(str(large), device=str(DEVICE), dtype="bfloat16")
    shape, samples = shape_of(vlm.model), Samples(tiny_pool / "samples.parquet")
    *_, batch = batches(vlm, samples, range(24), tiny_pool / "images", max_pixels=10**7)
    b, t = batch.response.shape
    sample = Sample(t, int(batch.response.sum()) / b, 5)
    if kind == "features":
        layers = vlm.language_layers
        run = partial(extract_features, vlm.model, layers, batch, layers=[1], variant="paper")
        operations = arithmetic.forward(shape, sample)
        elapsed, peak = measured(run)
    else:
        vlm.model = attach_lora(vlm.model, rank=8, alpha=16, seed=0).eval()
        operations = arithmetic.gradients(shape, 8, sample)
        with PerSampleGradients(vlm.model) as per_sample:
            where = {"size": per_sample.size, "dim": 512, "seed": 0, "device": vlm.device}
            phi = projection.make(kind, nonzeros=3, implementation="auto", **where)

            def run():
                accumulator = phi.begin(len(batch))
                per_sample.stream(batch, accumulator.add)
                return accumulator.result()

            elapsed, peak = measured(run)
    share = operations * b / elapsed / matrix_rate()
    assert elapsed > 0 and share > 0
    if REAL:
        with capsys.disabled():
            rate, of_peak = f"{b / elapsed:.0f} samples/s of {t} tokens", f"{share:.1%}"
            print(
                f"\n{kind}: {rate}, {of_peak} of the matrix rate, {peak / 1e6:.0f} MB at the peak"
            )


def measured(run) -> tuple[float, float]:
    """Return seconds and the peak of memory in bytes, 0 on a CPU."""
    if REAL:
        torch.cuda.reset_peak_memory_stats()
    elapsed = seconds(run)
    return elapsed, torch.cuda.max_memory_allocated() if REAL else 0
