"""Batches: every sample once, in blocks that do not depend on the number of shards."""

from functools import partial

import numpy as np
import pytest
import torch
from usual_models import load_vlm

from vlselect.core.shard_files import shard_rows
from vlselect.models.batching import SLACK, SPREAD, batches, by_length
from vlselect.pool.samples import Samples

batches = partial(batches, max_pixels=10**7)


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


@pytest.mark.parametrize("batch_tokens", [None, 70])
@pytest.mark.parametrize("n_shards", [2, 3])
def test_batches_do_not_depend_on_shards(
    tiny_vlm, tiny_pool, samples, n_shards, batch_tokens, monkeypatch
):
    monkeypatch.setattr("vlselect.models.batching.BLOCK", 8)
    vlm = load_vlm(str(tiny_vlm), batch_size=4, batch_tokens=batch_tokens)
    root = tiny_pool / "images"
    whole = [b.rows.tolist() for b in batches(vlm, samples, range(len(samples)), root)]
    parts = []
    for i in range(1, n_shards + 1):
        rows = shard_rows(len(samples), f"{i}-of-{n_shards}", block=8)
        parts += [b.rows.tolist() for b in batches(vlm, samples, rows, root)]
    assert parts == whole


@pytest.mark.parametrize("prompts", [False, True])
def test_workers_make_the_same_batches(tiny_vlm, tiny_pool, samples, prompts, monkeypatch):
    monkeypatch.setattr("vlselect.models.batching.BLOCK", 8)
    rows, root = range(1, len(samples)), tiny_pool / "images"
    found = {}
    for workers in (0, 2, 9):
        vlm = load_vlm(str(tiny_vlm), batch_size=3, workers=workers)
        found[workers] = list(batches(vlm, samples, rows, root, prompts=prompts))
    for workers in (2, 9):
        for batch, other in zip(found[0], found[workers], strict=True):
            assert batch.sample_ids == other.sample_ids and (batch.rows == other.rows).all()
            assert batch.inputs.keys() == other.inputs.keys()
            for name, value in batch.inputs.items():
                assert torch.equal(value, other.inputs[name])
            for name in ("response", "instruction", "image"):
                assert torch.equal(getattr(batch, name), getattr(other, name))


def test_workers_do_the_encoding(tiny_vlm, tiny_pool, samples, monkeypatch):
    monkeypatch.setattr("vlselect.models.batching.BLOCK", 8)
    vlm = load_vlm(str(tiny_vlm))
    encode, here = vlm.encode, []
    monkeypatch.setattr(vlm, "encode", lambda *given: here.append(1) or encode(*given))
    for vlm.workers, expected in ((0, len(samples)), (2, 0)):  # in this process
        here.clear()
        list(batches(vlm, samples, range(len(samples)), tiny_pool / "images"))
        assert len(here) == expected


def test_workers_see_a_new_limit(tiny_vlm, tiny_pool, samples, monkeypatch):
    monkeypatch.setattr("vlselect.models.batching.BLOCK", 4)
    vlm = load_vlm(str(tiny_vlm), workers=1)
    sizes = []
    for batch in batches(vlm, samples, range(24), tiny_pool / "images"):
        sizes.append(len(batch))
        vlm.batch_tokens = 1
    assert max(sizes) > 1 and sizes[-12:] == [1] * 12  # blocks already in progress may be larger


def test_an_image_that_a_worker_cannot_read_is_named(tiny_vlm, tiny_pool, samples, monkeypatch):
    monkeypatch.setattr("vlselect.models.batching.BLOCK", 8)
    vlm = load_vlm(str(tiny_vlm), workers=1)
    with pytest.raises(Exception, match=r"a/0-0\.png"):
        list(batches(vlm, samples, range(24), tiny_pool / "nowhere"))


def test_no_rows_no_batches(tiny_vlm, tiny_pool, samples):
    vlm = load_vlm(str(tiny_vlm), workers=2)
    assert not list(batches(vlm, samples, [], tiny_pool / "images"))


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


def slow_batches(lengths, batch_size, batch_tokens):
    """Return the lengths of each batch: a sample joins the last batch if this breaks no rule."""
    found = [[]]
    for length in sorted(lengths):
        joined = [*found[-1], length]
        rules = [
            len(joined) <= batch_size,
            max(joined) * len(joined) <= batch_tokens or len(joined) == 1,
            max(joined) <= SPREAD * min(joined) or max(joined) - min(joined) <= SLACK,
        ]
        if all(rules):
            found[-1].append(length)
        else:
            found.append([length])
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("batch_tokens", [1, 150, 700, 5000, 10**9])
def test_a_batch_has_no_more_tokens_than_allowed(batch_tokens, seed):
    lengths = np.random.default_rng(seed).integers(10, 300, size=64).tolist()
    given = [Sample(row, length) for row, length in enumerate(lengths)]
    found = [[len(s) for s in batch] for batch in by_length(given, 20, batch_tokens)]
    assert found == slow_batches(lengths, 20, batch_tokens)
    if batch_tokens == 10**9:
        assert found == [[len(s) for s in batch] for batch in by_length(given, 20)]


def test_a_batch_may_be_full_to_the_last_token_and_a_longer_sample_stands_alone():
    given = [Sample(row, length) for row, length in enumerate([50, 60, 60, 61, 200])]
    found = [[len(s) for s in batch] for batch in by_length(given, 64, 180)]
    assert found == [[50, 60, 60], [61], [200]]


@pytest.mark.parametrize("prompts", [False, True])
def test_image_tokens_and_padding_count_in_a_batch(tiny_vlm, tiny_pool, samples, prompts):
    vlm = load_vlm(str(tiny_vlm), batch_tokens=120)
    rows = range(len(samples))
    root = tiny_pool / "images"
    found = list(batches(vlm, samples, rows, root, prompts=prompts))
    sizes = [batch.inputs["input_ids"].numel() for batch in found]
    assert sorted(np.concatenate([batch.rows for batch in found])) == list(rows)
    assert max(sizes) <= 120 and max(len(batch) for batch in found) > 2
    vlm.batch_tokens = None
    assert len(list(batches(vlm, samples, rows, root, prompts=prompts))) < len(found)


def test_prompts_are_padded_on_the_left(tiny_vlm, tiny_pool, samples):
    vlm = load_vlm(str(tiny_vlm))
    (batch,) = batches(vlm, samples, range(12), tiny_pool / "images", prompts=True)
    assert batch.inputs["attention_mask"][:, -1].all() and not batch.response.any()
