"""scripts/extract_gains.py on a small pool: files, headers, shards and samples without an image."""

import json

import extract_gains
import numpy as np
import pytest
from closeness import assert_close_vectors, chain
from tiny_inputs import make_records, prepare
from usual_flags import usual
from usual_models import load_vlm

from vlselect.core.store import ShardedArray
from vlselect.features.gains import KINDS
from vlselect.pool.samples import Samples

N = 140  # three blocks


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("pool"), make_records(N, seed=4))


@pytest.fixture
def run(tiny_vlm, pool):
    def run(folder, shard="1-of-1", *more):
        """Run the script; return the path of each kind's shard."""
        paths = {kind: folder / kind / f"shard-{shard}.safetensors" for kind in KINDS}
        flags = ["--samples", pool / "samples.parquet", "--images", pool / "images"]
        flags += ["--run", "test", "--model", tiny_vlm, "--batch-size", 16, "--shard", shard]
        for kind, path in paths.items():
            flags += [f"--{kind}", path]
        extract_gains.main([*usual(extract_gains), *map(str, flags), *more])
        return paths

    return run


def test_two_files_with_shapes_dtypes_and_headers(run, tiny_vlm, pool, tmp_path):
    arrays = {kind: ShardedArray([path]) for kind, path in run(tmp_path).items()}
    assert arrays["gains"].shape == (N, 2) and arrays["question"].shape == (N, 32)
    for kind, array in arrays.items():
        header = array.metadata[0]
        assert array.dtype == KINDS[kind] and header["kind"] == kind
        assert (header["rows"], header["model"]) == (f"0:{N}", str(tiny_vlm))
    assert json.loads(arrays["gains"].only("columns")) == ["loss", "visual_gain"]
    n_images = Samples(pool / "samples.parquet").frame(["n_images"])["n_images"].to_numpy()
    np.testing.assert_array_equal(arrays["gains"][:][:, 1] != 0, n_images > 0)


def test_shards_hold_the_same_bits_and_batches_change_rounding_only(run, tiny_vlm, tmp_path):
    whole = run(tmp_path / "1")
    parts = [run(tmp_path / "3", f"{i}-of-3") for i in (1, 2, 3)]
    small = run(tmp_path / "small", "1-of-1", "--batch-size", "3")
    terms = chain(load_vlm(str(tiny_vlm)).model)
    for kind, dtype in KINDS.items():
        expected = ShardedArray([whole[kind]])[:]
        assert ShardedArray([part[kind] for part in parts])[:].tobytes() == expected.tobytes()
        other = ShardedArray([small[kind]])[:]
        assert_close_vectors(other, expected, terms=terms, stored=dtype, name=kind)
