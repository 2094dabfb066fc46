"""Every pass of a model on a GPU has the results of the CPU, up to the order of sums."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
from closeness import assert_close_vectors, chain
from task_files import write_task
from tiny_inputs import WORDS
from usual_flags import usual
from usual_models import load_vlm, save_adapter

from vlselect.core.store import ShardedArray
from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config

FEATURES = {  # passes over a shard: kinds that they write, further flags
    "extract_features": (["activations", "last-token", "mean-hidden", "likelihood"], []),
    "extract_attention": (["attended"], ["--instruction", "question", "--layer=2", "--mass=0.9"]),
    "extract_signatures": (["bridging", "neurons"], []),
    "extract_visual": (["visual"], ["--layer", "2"]),
    "extract_gains": (["gains", "question"], []),
    "extract_instruction_gains": (["instruction-gains"], ["--token-weights", "content"]),
}
STREAMED = ("shifted", "sjlt")


def call(script, *flags):
    module = importlib.import_module(script)
    module.main([*usual(module), "--run", "test", *map(str, flags)])


def close(folder, on_cpu, on_gpu, terms):
    """Compare all shards below two folders."""
    paths = sorted(path.relative_to(folder / on_cpu) for path in (folder / on_cpu).rglob("*.saf*"))
    assert paths
    for path in paths:
        expected, found = (ShardedArray([folder / name / path]) for name in (on_cpu, on_gpu))
        assert found.dtype == expected.dtype and np.any(expected[:])
        values = [np.atleast_2d(array[:].astype(np.float64)) for array in (found, expected)]
        stored = str(np.dtype(expected.dtype))
        assert_close_vectors(*values, terms=terms, stored=stored, name=str(path))


@pytest.fixture(scope="module")
def terms(tiny_vlm):
    return 4 * chain(load_vlm(str(tiny_vlm)).model)


@pytest.fixture(scope="module")
def warm_up(tiny_vlm, tmp_path_factory):
    """Folder of an adapter whose B is not zero, with second moments."""
    return save_adapter(tiny_vlm, tmp_path_factory.mktemp("warm_up"))


def twice(on_gpu, folder, run):
    """Run on the CPU, then on the GPU; `run` takes the device and the folder for results."""
    run("cpu", folder / "cpu")
    with on_gpu():
        run("cuda", folder / "gpu")


@pytest.mark.parametrize("tokens", [70, "auto"])
@pytest.mark.parametrize("script", FEATURES)
def test_features(script, tokens, tiny_vlm, tiny_pool, on_gpu, tmp_path, terms):
    kinds, more = FEATURES[script]
    pool = ("--samples", tiny_pool / "samples.parquet", "--images", tiny_pool / "images")

    def run(device, out):
        shards = [part for kind in kinds for part in (f"--{kind}", out / f"{kind}.safetensors")]
        where = ("--model", tiny_vlm, "--device", device, "--batch-tokens", tokens)
        call(script, *pool, *where, "--attention", "eager", *more, *shards)

    twice(on_gpu, tmp_path, run)
    close(tmp_path, "cpu", "gpu", terms)


def test_clip(tiny_pool, on_gpu, tmp_path, terms):
    processor, model = build_clip_processor(WORDS, 32), tmp_path / "model"
    build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2)).save_pretrained(
        model
    )
    processor.save_pretrained(model)
    pool = ("--samples", tiny_pool / "samples.parquet", "--images", tiny_pool / "images")

    def run(device, out):
        call(
            "extract_clip",
            *pool,
            "--model",
            model,
            "--device",
            device,
            "--clip",
            out / "a.safetensors",
        )

    twice(on_gpu, tmp_path, run)
    close(tmp_path, "cpu", "gpu", terms)


def gradients(tiny_vlm, tiny_pool, warm_up, *more):
    """Return a function that collects gradients of the pool."""
    pool = ("--samples", tiny_pool / "samples.parquet", "--images", tiny_pool / "images")

    def run(device, out):
        where = ("--model", tiny_vlm, "--device", device, "--attention", "eager")
        files = ("--out", out / "a.safetensors", "--losses", out / "losses.safetensors")
        flags = ("--names", "pool", "--warm-up", warm_up, "--dim", 64, *files)
        call("collect_gradients", *pool, *where, *flags, *more)

    return run


@pytest.mark.parametrize("tokens", [90, "auto"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", STREAMED)
def test_gradients(kind, dtype, tokens, tiny_vlm, tiny_pool, warm_up, on_gpu, tmp_path, terms):
    more = ("--projection", kind, "--dtype", dtype, "--batch-tokens", tokens)
    twice(on_gpu, tmp_path, gradients(tiny_vlm, tiny_pool, warm_up, *more))
    if dtype == "float32":
        close(tmp_path, "cpu", "gpu", terms)
        return
    found = [ShardedArray([tmp_path / name / "a.safetensors"])[:] for name in ("cpu", "gpu")]
    assert np.einsum("nk,nk->n", *found).min() > 0.98  # directions, of vectors of length one


@pytest.mark.parametrize("kind", ["hidden", "output"])
def test_representations(kind, tiny_vlm, tiny_pool, warm_up, on_gpu, tmp_path, terms):
    more = ("--representation", kind, "--positions", "response")[: 4 if kind == "hidden" else 2]
    twice(on_gpu, tmp_path, gradients(tiny_vlm, tiny_pool, warm_up, *more))
    close(tmp_path, "cpu", "gpu", terms)


@pytest.mark.parametrize("merged", [False, True])
def test_answers(merged, tiny_vlm, tiny_pool, warm_up, on_gpu, tmp_path):
    test, pictures = tmp_path / "test.parquet", tiny_pool / "images"
    write_task(tiny_pool, test, range(12))
    task = ("--task", "words", "exact_match", "{}", test, pictures, 4)
    more = ("--merge-adapter",) if merged else ()

    def run(device, out):
        import run_benchmarks

        where = ("--model", tiny_vlm, "--device", device, "--checkpoint", warm_up)
        flags = (
            *task,
            *where,
            "--attention",
            "eager",
            "--batch-tokens",
            "auto",
            "--out",
            out,
            *more,
        )
        run_benchmarks.main([*usual(run_benchmarks), *map(str, flags)])

    twice(on_gpu, tmp_path, run)
    tables = [pd.read_parquet(tmp_path / name / "words.parquet") for name in ("cpu", "gpu")]
    assert tables[0]["prediction"].tolist() == tables[1]["prediction"].tolist()
    assert json.loads((tmp_path / "gpu/words.json").read_text())["n"] == 12
