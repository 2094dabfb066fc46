"""scripts/extract_clip.py on a small pool: file, header and shards."""

import extract_clip
import numpy as np
import pytest
from closeness import rounding
from tiny_inputs import WORDS, make_records, prepare
from usual_flags import usual

from vlselect.core.store import ShardedArray
from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config
from vlselect.pool.samples import Samples


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip")
    processor = build_clip_processor(WORDS, 32)
    build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2)).save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def long_pool(tmp_path_factory):
    """A pool of three blocks."""
    return prepare(tmp_path_factory.mktemp("long_pool"), make_records(150))


def run(clip, pool, folder, shard="1-of-1"):
    path = folder / f"shard-{shard}.safetensors"
    flags = ["--samples", pool / "samples.parquet", "--images", pool / "images", "--shard", shard]
    flags += ["--run", "test", "--model", clip, "--device", "cpu", "--batch-size", 16]
    extract_clip.main([*usual(extract_clip), *map(str, flags), "--clip", str(path)])
    return path


def test_file_with_unit_halves_and_header(clip, long_pool, tmp_path):
    array = ShardedArray([run(clip, long_pool, tmp_path)])
    assert array.shape == (150, 2 * 64) and array.dtype == np.float16
    norms = np.linalg.norm(array[:].astype(np.float64).reshape(150, 2, 64), axis=2)
    n_images = Samples(long_pool / "samples.parquet").frame(["n_images"])["n_images"].to_numpy()
    allowed = rounding(64, stored="float16")
    np.testing.assert_allclose(norms[:, 0], n_images > 0, atol=allowed)
    np.testing.assert_allclose(norms[:, 1], 1, atol=allowed)
    header = array.metadata[0]
    assert header["kind"] == "clip" and header["layout"] == "image, text"
    assert header["rows"] == "0:150" and header["run"] == "test" and header["max_length"] == "64"
    assert header["model"] == str(clip) and header["revision"] == "" and len(header["code"]) == 64


def test_any_number_of_shards_holds_the_same_bits(clip, long_pool, tmp_path):
    whole = ShardedArray([run(clip, long_pool, tmp_path / "1")])
    parts = [
        run(clip, long_pool, tmp_path / "4", f"{i}-of-4") for i in (1, 2, 3, 4)
    ]  # one is empty
    assert ShardedArray(parts)[:].tobytes() == whole[:].tobytes()


def test_failure_leaves_no_file(tiny_vlm, long_pool, tmp_path):
    with pytest.raises(ValueError, match="not a CLIPModel"):
        run(tiny_vlm, long_pool, tmp_path)
    assert not list(tmp_path.rglob("*shard*"))
