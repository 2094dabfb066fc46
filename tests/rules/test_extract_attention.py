"""scripts/extract_attention.py on a small pool: file, header, shards and samples without images."""

import json

import extract_attention
import numpy as np
import prepare_pool
import pytest
from tiny_inputs import make_records, write_images
from usual_flags import usual

from vlselect.core.store import ShardedArray
from vlselect.pool.samples import Samples


def prepare(folder, records):
    """Write records and their images, convert them to samples.parquet; return the folder."""
    write_images(folder / "images", records)
    (folder / "mixture.json").write_text(json.dumps(records))
    flags = ["--records", folder / "mixture.json", "--images", folder / "images"]
    flags += ["--samples", folder / "samples.parquet", "--rejected", folder / "rejected.csv"]
    flags += ["--summary", folder / "summary.json", "--source-key", "task"]
    prepare_pool.main([*usual(prepare_pool), *map(str, flags)])
    return folder


def run(model, pool, folder, shard="1-of-1", extra=(), instruction="question"):
    """Run the script; return the path of its shard."""
    path = folder / f"shard-{shard}.safetensors"
    flags = ["--samples", pool / "samples.parquet", "--images", pool / "images", "--shard", shard]
    flags += ["--run", "test", "--model", model, "--device", "cpu", "--attended", path]
    flags += ["--instruction", instruction, "--layer", "1", "--mass", "0.9", "--batch-size", "16"]
    extract_attention.main([*usual(extract_attention), *map(str, flags), *extra])
    return path


@pytest.fixture(scope="module")
def long_pool(tmp_path_factory):
    """A pool of three blocks."""
    return prepare(tmp_path_factory.mktemp("long_pool"), make_records(150))


def test_rows_are_zero_just_where_there_is_no_image(tiny_vlm, tiny_pool, tmp_path):
    array = ShardedArray([run(tiny_vlm, tiny_pool, tmp_path)])
    n_images = Samples(tiny_pool / "samples.parquet").frame(["n_images"])["n_images"].to_numpy()
    assert array.shape == (len(n_images), 32) and array.dtype == np.float16
    np.testing.assert_array_equal(array[:].any(axis=1), n_images > 0)


def test_header_says_how_it_was_made(tiny_vlm, tiny_pool, tmp_path):
    path = run(tiny_vlm, tiny_pool, tmp_path, extra=["--layer", "2", "--mass", "0.8"])
    header = ShardedArray([path]).metadata[0]
    assert header["kind"] == "attended" and header["layer"] == "2" and header["mass"] == "0.8"
    assert header["instruction"] == "question"
    assert header["text_only"] == "zeros" and header["run"] == "test"
    assert header["model"] == str(tiny_vlm) and len(header["code"]) == 64


def test_any_number_of_shards_holds_the_same_bits(tiny_vlm, long_pool, tmp_path):
    whole = ShardedArray([run(tiny_vlm, long_pool, tmp_path)])
    parts = [run(tiny_vlm, long_pool, tmp_path, f"{i}-of-3") for i in (1, 2, 3)]
    assert ShardedArray(parts)[:].tobytes() == whole[:].tobytes()


def test_rows_of_the_prompt_and_of_the_question_are_not_mixed(tiny_vlm, long_pool, tmp_path):
    paths = [
        run(tiny_vlm, long_pool, tmp_path, f"{i}-of-2", instruction=instruction)
        for i, instruction in ((1, "prompt"), (2, "question"))
    ]
    with pytest.raises(ValueError, match="do not share one 'instruction'"):
        ShardedArray(paths)
    again = run(tiny_vlm, long_pool, tmp_path / "again", "1-of-2")
    assert (ShardedArray([again])[:] != ShardedArray([paths[0]])[:]).any()


def test_attention_without_weights_fails_and_leaves_no_file(tiny_vlm, tiny_pool, tmp_path):
    with pytest.raises(RuntimeError, match="--attention eager"):
        run(tiny_vlm, tiny_pool, tmp_path, extra=["--attention", "sdpa"])
    assert not list(tmp_path.rglob("*shard*"))


def test_instructions_before_their_image_are_logged(tiny_vlm, tmp_path, capsys):
    records = make_records(4)
    records[0]["conversations"] = [
        {"from": "human", "value": "what is this <image>"},
        {"from": "gpt", "value": "red"},
    ]
    run(tiny_vlm, prepare(tmp_path, records), tmp_path)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert any("in 1 samples" in line and "sample-000" in line for line in warnings)
