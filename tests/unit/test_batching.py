"""Batches: every sample once, in blocks that no shard count can move."""

import numpy as np
import pytest

from vlselect import store
from vlselect.batching import batches, by_length
from vlselect.loading import load_vlm
from vlselect.samples import Samples


@pytest.fixture(scope="module")
def samples(tiny_pool):
    return Samples(tiny_pool / "samples.parquet")


def test_every_sample_comes_once_and_short_ones_first(tiny_vlm, tiny_pool, samples):
    vlm = load_vlm(str(tiny_vlm), batch_size=5)
    found = list(batches(vlm, samples, range(len(samples)), tiny_pool / "images"))
    assert sorted(np.concatenate([batch.rows for batch in found])) == list(range(len(samples)))
    assert all(len(batch) <= 5 for batch in found)
    lengths = [batch.inputs["attention_mask"].sum(1).tolist() for batch in found]
    assert sum(lengths, []) == sorted(sum(lengths, []))
    ids = samples.frame(["sample_id"])["sample_id"]
    assert [ids[row] for batch in found for row in batch.rows] == [
        name for batch in found for name in batch.sample_ids
    ]


@pytest.mark.parametrize("n_shards", [2, 3])
def test_batches_do_not_depend_on_shards(tiny_vlm, tiny_pool, samples, n_shards, monkeypatch):
    monkeypatch.setattr("vlselect.batching.BLOCK", 8)
    vlm = load_vlm(str(tiny_vlm), batch_size=4)
    root = tiny_pool / "images"
    whole = [b.rows.tolist() for b in batches(vlm, samples, range(len(samples)), root)]
    parts = []
    for i in range(1, n_shards + 1):
        rows = store.shard_rows(len(samples), f"{i}-of-{n_shards}", block=8)
        parts += [b.rows.tolist() for b in batches(vlm, samples, rows, root)]
    assert parts == whole


class Sample:
    def __init__(self, row, length):
        self.row, self.length = row, length

    def __len__(self):
        return self.length


def test_equal_lengths_are_ordered_by_row():
    given = [Sample(3, 5), Sample(1, 5), Sample(2, 4), Sample(0, 9)]
    assert [[s.row for s in chunk] for chunk in by_length(given, 3)] == [[2, 1, 3], [0]]


def test_no_sample_is_padded_by_much():
    lengths = [10, 26, 27, 40, 43, 44, 100, 125, 126, 500, 625, 626]
    given = [Sample(row, length) for row, length in enumerate(reversed(lengths))]
    found = [[len(sample) for sample in batch] for batch in by_length(given, 64)]
    assert found == [[10, 26], [27, 40, 43], [44], [100, 125], [126], [500, 625], [626]]


def test_prompts_are_padded_on_the_left(tiny_vlm, tiny_pool, samples):
    vlm = load_vlm(str(tiny_vlm))
    (batch,) = batches(vlm, samples, range(12), tiny_pool / "images", prompts=True)
    assert batch.inputs["attention_mask"][:, -1].all() and not batch.response.any()
