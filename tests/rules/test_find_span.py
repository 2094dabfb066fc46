"""Gradients stored in the span of the validation gradients have the influences of whole ones."""

import collect_gradients
import compute_influence
import find_span
import numpy as np
import pandas as pd
import pytest
from closeness import rounding
from safetensors import safe_open
from tiny_inputs import make_records, prepare
from usual_flags import usual
from usual_models import save_adapter

from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray

DIM = 2048


@pytest.fixture(scope="module")
def run(tiny_vlm, tiny_pool, tmp_path_factory):
    """A folder with gradients of two validation sets and the pool; a function that collects."""
    folder = tmp_path_factory.mktemp("span")
    other = prepare(folder / "other", make_records(10, seed=3))
    save_adapter(tiny_vlm, folder / "warm_up")

    def collect(name, out, *more, pool=tiny_pool):
        flags = ["--run", "test", "--names", name, "--dim", DIM, "--model", tiny_vlm]
        flags += ["--samples", pool / "samples.parquet", "--images", pool / "images"]
        flags += ["--warm-up", folder / "warm_up", "--out", folder / out, *more]
        collect_gradients.main([*usual(collect_gradients), *map(str, flags)])

    collect("a", "a.safetensors")
    collect("b", "b.safetensors", pool=other)
    collect("pool", "pool.safetensors")
    return folder, collect


def span_of(folder, out, dimensions):
    """Run the script on both validation sets; return the path of the basis."""
    paths = [folder / f"{name}.safetensors" for name in "ab"]
    made = [folder / out / f"{name}.safetensors" for name in "ab"]
    flags = ["--validation", *paths, "--dimensions", dimensions, "--threads", 1]
    flags += ["--basis", folder / out / "basis.safetensors", "--out", *made]
    find_span.main(list(map(str, flags)))
    return folder / out / "basis.safetensors"


def influences(folder, pool, validation, out):
    files = [folder / out / f"{name}.parquet" for name in "ab"]
    matrices = [folder / out / f"{name}_matrix.safetensors" for name in "ab"]
    flags = ["--pool", folder / pool, "--tasks", "a", "b", "--threads", 1, "--out", *files]
    flags += ["--validation", *(folder / validation / f"{name}.safetensors" for name in "ab")]
    compute_influence.main([*map(str, flags), "--out-matrices", *map(str, matrices)])
    tables = [pd.read_parquet(path)["influence"].to_numpy() for path in files]
    return np.stack(tables), [ShardedArray([path])[:].astype(float) for path in matrices]


def test_influences_are_those_of_whole_gradients(run):
    folder, collect = run
    basis = span_of(folder, "span", 1024)
    collect("pool", "pool_span.safetensors", "--span", basis)
    n, r = ShardedArray([folder / "pool_span.safetensors"]).shape
    assert n == 24 and r == len(ShardedArray([basis])) <= 34
    whole, single = influences(folder, "pool.safetensors", ".", "whole")
    within, single_within = influences(folder, "pool_span.safetensors", "span", "within")
    allowed = rounding(4 * DIM, stored="float16") + rounding(4 * DIM, stored="float16")
    assert np.abs(whole).max() > 0.05
    assert np.abs(within - whole).max() < allowed
    for found, expected in zip(single_within, single, strict=True):
        assert np.abs(found - expected).max() < 2 * allowed
    assert float(ShardedArray([basis]).only("energy")) == pytest.approx(1, abs=1e-6)


def test_a_small_span_keeps_influences_on_tasks_and_says_its_energy(run):
    folder, collect = run
    basis = span_of(folder, "small", 4)
    collect("pool", "pool_small.safetensors", "--span", basis)
    whole, _ = influences(folder, "pool.safetensors", ".", "whole")
    within, _ = influences(folder, "pool_small.safetensors", "small", "within_small")
    assert np.abs(within - whole).max() < 2 * rounding(4 * DIM, stored="float16")
    with safe_open(str(basis), "np") as file:
        assert 0 < float(file.metadata()["energy"]) < 1


def test_what_lies_in_two_spaces_is_not_compared(run):
    folder, collect = run
    basis = span_of(folder, "span", 1024)
    collect("pool", "pool_span.safetensors", "--span", basis)
    with pytest.raises(InputError, match="projected differently.*span"):
        influences(folder, "pool_span.safetensors", ".", "mixed")
    with pytest.raises(InputError, match="projected differently.*seed"):
        collect("pool", "x.safetensors", "--span", basis, "--projection-seed", 5)
