"""scripts/extract_features.py on a small pool: files, headers and shards."""

import json

import extract_features
import numpy as np
import pytest
from closeness import assert_close_vectors, chain
from tiny_inputs import make_records, prepare
from usual_flags import usual
from usual_models import load_vlm

from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray
from vlselect.features.forward_pass import KINDS
from vlselect.pool.samples import Samples


def run(model, pool, folder, shard="1-of-1", extra=()):
    """Run the script; return the path of each kind's shard."""
    paths = {kind: folder / kind / f"shard-{shard}.safetensors" for kind in KINDS}
    flags = ["--samples", pool / "samples.parquet", "--images", pool / "images", "--shard", shard]
    flags += ["--run", "test", "--model", model, "--device", "cpu", "--batch-size", 16]
    for kind, path in paths.items():
        flags += ["--" + kind.replace("_", "-"), path]
    extract_features.main([*usual(extract_features), *map(str, flags), *extra])
    return paths


@pytest.fixture(scope="module")
def long_pool(tmp_path_factory):
    """A pool of three blocks."""
    return prepare(tmp_path_factory.mktemp("long_pool"), make_records(150))


def test_four_files_with_shapes_dtypes_and_headers(tiny_vlm, tiny_pool, tmp_path):
    paths = run(tiny_vlm, tiny_pool, tmp_path)
    arrays = {kind: ShardedArray([path]) for kind, path in paths.items()}
    n = len(Samples(tiny_pool / "samples.parquet"))
    assert arrays["activations"].shape == (n, 2 * 4 * 32)
    assert arrays["last_token"].shape == arrays["mean_hidden"].shape == (n, 32)
    assert arrays["likelihood"].shape == (n, 3)
    for kind, array in arrays.items():
        header = array.metadata[0]
        assert array.dtype == KINDS[kind]
        assert header["kind"] == kind and header["rows"] == f"0:{n}" and header["run"] == "test"
        assert header["model"] == str(tiny_vlm) and header["revision"] == ""
        assert len(header["code"]) == 64
    header = arrays["activations"].metadata[0]
    assert header["variant"] == "released" and json.loads(header["layers"]) == [0, 1, 2, 3]
    assert json.loads(arrays["likelihood"].only("columns")) == ["nll", "el2n", "margin"]


def test_text_only_samples_and_no_others_lack_the_visual_half(tiny_vlm, tiny_pool, tmp_path):
    paths = run(tiny_vlm, tiny_pool, tmp_path, extra=["--layers", "1", "2"])
    vectors = ShardedArray([paths["activations"]])[:].reshape(-1, 2, 2, 32)
    n_images = Samples(tiny_pool / "samples.parquet").frame(["n_images"])["n_images"].to_numpy()
    assert (n_images == 0).any() and (n_images > 1).any()
    for modality, expected in ((0, n_images > 0), (1, n_images >= 0)):
        np.testing.assert_array_equal(vectors[:, :, modality].any(axis=(1, 2)), expected)


def test_any_number_of_shards_holds_the_same_bits(tiny_vlm, long_pool, tmp_path):
    whole = run(tiny_vlm, long_pool, tmp_path / "1")
    parts = [run(tiny_vlm, long_pool, tmp_path / "3", f"{i}-of-3") for i in (1, 2, 3)]
    for kind in KINDS:
        expected = ShardedArray([whole[kind]])[:]
        got = ShardedArray([part[kind] for part in parts])
        assert len(got.metadata) == 3
        assert got[:].tobytes() == expected.tobytes(), kind


def test_fewer_tokens_in_a_batch_change_rounding_only_and_shards_nothing(
    tiny_vlm, long_pool, tmp_path
):
    whole = run(tiny_vlm, long_pool, tmp_path / "1")
    terms, small = chain(load_vlm(str(tiny_vlm)).model), ["--batch-tokens", "100"]
    parts = [run(tiny_vlm, long_pool, tmp_path / n, f"1-of-{n}", small) for n in "13"]
    for kind in KINDS:
        expected = ShardedArray([whole[kind]])[:]
        all_rows, first = (ShardedArray([part[kind]])[:] for part in parts)
        assert_close_vectors(all_rows, expected, terms=terms, stored=KINDS[kind], name=kind)
        assert 0 < len(first) < len(all_rows)
        assert all_rows[: len(first)].tobytes() == first.tobytes(), kind


def test_automatic_batches_on_a_cpu_hold_the_bits_of_their_fixed_number_in_any_shards(
    tiny_vlm, long_pool, tmp_path
):
    fixed = run(tiny_vlm, long_pool, tmp_path / "fixed", extra=["--batch-tokens", "1024"])
    auto = ["--batch-tokens", "auto"]
    whole = run(tiny_vlm, long_pool, tmp_path / "1", extra=auto)
    parts = [run(tiny_vlm, long_pool, tmp_path / "2", f"{i}-of-2", auto) for i in (1, 2)]
    for kind in KINDS:
        assert whole[kind].read_bytes() == fixed[kind].read_bytes(), kind
        together = ShardedArray([part[kind] for part in parts])[:]
        assert together.tobytes() == ShardedArray([whole[kind]])[:].tobytes(), kind


def test_empty_shard_is_a_file_without_rows(tiny_vlm, tiny_pool, tmp_path):
    paths = run(tiny_vlm, tiny_pool, tmp_path, shard="1-of-2")  # the block is in the second
    assert ShardedArray([paths["activations"]]).shape == (0, 2 * 4 * 32)
    assert ShardedArray([paths["likelihood"]]).shape == (0, 3)


def test_failure_leaves_no_file(tiny_vlm, tiny_pool, tmp_path):
    with pytest.raises(FileNotFoundError, match="not a directory"):
        run(tmp_path / "nowhere", tiny_pool, tmp_path)
    with pytest.raises(ValueError, match="distinct layers"):
        run(tiny_vlm, tiny_pool, tmp_path, extra=["--layers", "9"])
    assert not list(tmp_path.rglob("*shard*"))


def test_an_image_that_is_another_since_the_pool_was_read_ends_the_pass(tiny_vlm, tmp_path):
    pool = prepare(tmp_path / "pool", make_records(24))
    first, *others = sorted((pool / "images").rglob("*.png"))
    content = first.read_bytes()
    first.write_bytes(content)  # the same once more, as after a download
    run(tiny_vlm, pool, tmp_path / "same")
    first.write_bytes(next(o.read_bytes() for o in others if o.read_bytes() != content))
    name = first.relative_to(pool / "images")
    with pytest.raises(InputError, match=f"{name}' is another file than when its record was read"):
        run(tiny_vlm, pool, tmp_path / "other")
