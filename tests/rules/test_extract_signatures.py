"""scripts/extract_signatures.py on a small pool: files, headers, shards, rows without an image."""

import json

import extract_signatures
import numpy as np
import pytest
from closeness import assert_close_vectors, chain
from tiny_inputs import make_records, prepare
from usual_flags import usual
from usual_models import load_vlm

from vlselect.core.store import ShardedArray
from vlselect.features.signatures import KINDS
from vlselect.pool.samples import Samples

N = 140  # three blocks


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("pool"), make_records(N, seed=4))


@pytest.fixture
def run(tiny_vlm, pool):
    def run(folder, *more, shard="1-of-1"):
        """Run the script; return each kind's array."""
        paths = {kind: folder / kind / f"shard-{shard}.safetensors" for kind in KINDS}
        flags = ["--samples", pool / "samples.parquet", "--images", pool / "images"]
        flags += ["--run", "test", "--model", tiny_vlm, "--batch-size", 16, "--shard", shard]
        for kind, path in paths.items():
            flags += [f"--{kind}", path]
        extract_signatures.main([*usual(extract_signatures), *map(str, flags), *more])
        return paths

    return run


def test_two_files_with_shapes_dtypes_and_headers(run, tiny_vlm, pool, tmp_path):
    paths = run(tmp_path / "a")
    arrays = {kind: ShardedArray([path]) for kind, path in paths.items()}
    assert arrays["bridging"].shape == (N, 1) and arrays["neurons"].shape == (N, 4 * 64)
    for kind, array in arrays.items():
        assert array.dtype == KINDS[kind] and array.metadata[0]["kind"] == kind
        assert json.loads(array.only("layers")) == [0, 1, 2, 3]
    n_images = Samples(pool / "samples.parquet").frame(["n_images"])["n_images"].to_numpy()
    np.testing.assert_array_equal(arrays["bridging"][:][:, 0] > 0, n_images > 0)
    neurons = arrays["neurons"][:]
    assert not neurons[n_images == 0].any()
    layers = np.sort(neurons[n_images > 0].reshape(-1, 4, 64), axis=2)
    assert (layers == np.arange(64)).all()
    chosen = run(tmp_path / "b", "--layers", "3", "1")
    assert json.loads(ShardedArray([chosen["neurons"]]).only("layers")) == [1, 3]
    np.testing.assert_array_equal(
        ShardedArray([chosen["neurons"]])[:].reshape(N, 2, 64), neurons.reshape(N, 4, 64)[:, [1, 3]]
    )


def test_shards_hold_the_same_bits_and_batches_change_rounding_only(run, tiny_vlm, tmp_path):
    whole = run(tmp_path / "1")
    parts = [run(tmp_path / "3", shard=f"{i}-of-3") for i in (1, 2, 3)]
    small = run(tmp_path / "small", "--batch-size", "3")
    for kind in KINDS:
        expected = ShardedArray([whole[kind]])[:]
        assert ShardedArray([part[kind] for part in parts])[:].tobytes() == expected.tobytes()
    one, two = (ShardedArray([paths["bridging"]])[:] for paths in (whole, small))
    assert_close_vectors(two, one, terms=chain(load_vlm(str(tiny_vlm)).model), scale=1)
    one, two = (ShardedArray([paths["neurons"]])[:] for paths in (whole, small))
    assert (one != two).mean() < 0.01  # neurons of nearly equal activation
