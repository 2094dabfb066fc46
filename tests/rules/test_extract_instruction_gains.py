"""scripts/extract_instruction_gains.py: values of single samples, shards and the header."""

import json

import extract_instruction_gains
import numpy as np
import pytest
from closeness import assert_close_sums, chain
from tiny_inputs import make_records, prepare
from usual_flags import usual
from usual_models import load_vlm

from vlselect.core.store import ShardedArray
from vlselect.features.instruction_gains import (
    answer_losses,
    encode_guessing,
    log_mean_ratio,
    question_losses,
)
from vlselect.features.token_weights import TokenWeights
from vlselect.pool import images
from vlselect.pool.samples import Samples

N = 140  # three blocks
SILENT = 3  # its question is an image and nothing else


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    records = make_records(N, seed=4)
    records[SILENT]["conversations"][0]["value"] = "<image>"
    assert len(records[SILENT]["conversations"]) == 2
    return prepare(tmp_path_factory.mktemp("pool"), records)


@pytest.fixture
def run(tiny_vlm, pool):
    def run(path, *more):
        flags = ["--samples", pool / "samples.parquet", "--images", pool / "images"]
        flags += ["--run", "test", "--model", tiny_vlm, "--batch-size", 16]
        flags += ["--token-weights", "content", "--instruction-gains", path, *more]
        extract_instruction_gains.main([*usual(extract_instruction_gains), *map(str, flags)])
        return path

    return run


def slow_rows(path, pool):
    """Compute all rows, one sample at a time."""
    vlm, rows = load_vlm(str(path), device="cpu"), []
    weights = TokenWeights("content", vlm.tokenizer, vlm.special)
    for record in Samples(pool / "samples.parquet").records(range(N)):
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        if not pictures:
            rows.append((0.0, 0.0))
            continue
        batch = vlm.collate([vlm.encode(record, pictures)])
        (seen,), (blind,) = answer_losses(vlm.model, batch, weights)
        questions = [
            question_losses(
                vlm.model,
                vlm.collate([encode_guessing(vlm, record, pictures, answered)]),
                weights,
            )[0]
            for answered in (False, True)
            if record.turns[0].text != "<image>"
        ]
        instruction = log_mean_ratio(*questions) if questions else 0.0
        rows.append((log_mean_ratio(blind, seen), instruction))
    return np.array(rows), chain(vlm.model)


def test_rows_are_those_of_single_samples(run, tiny_vlm, pool, tmp_path):
    array = ShardedArray([run(tmp_path / "out.safetensors")])
    expected, terms = slow_rows(tiny_vlm, pool)
    assert array.shape == (N, 2) and array.dtype == np.float32
    assert_close_sums(array[:], expected, terms=terms, scale=10 + np.abs(expected))
    n_images = Samples(pool / "samples.parquet").frame(["n_images"])["n_images"].to_numpy()
    np.testing.assert_array_equal(array[:][:, 0] != 0, n_images > 0)
    asked = (n_images > 0) & (np.arange(N) != SILENT)
    np.testing.assert_array_equal(array[:][:, 1] != 0, asked)
    header = array.metadata[0]
    assert json.loads(header["columns"]) == ["visual", "instruction"]
    assert (header["kind"], header["token_weights"]) == ("instruction_gains", "content")


def test_shards_hold_the_same_bits_and_weights_matter(run, tmp_path):
    whole = ShardedArray([run(tmp_path / "whole")])[:]
    parts = [run(tmp_path / str(i), "--shard", f"{i}-of-3") for i in (1, 2, 3)]
    assert ShardedArray(parts)[:].tobytes() == whole.tobytes()
    plain = ShardedArray([run(tmp_path / "plain", "--token-weights", "none")])[:]
    assert (plain != whole).any(axis=0).all()
