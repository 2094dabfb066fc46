"""MAGIC: quality, buckets and their shares, against the steps of the paper on lists."""

import math

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from config_defaults import with_defaults
from feature_files import shuffled, table

from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray
from vlselect.methods import magic

score = with_defaults(magic.score)
select = with_defaults(magic.select)
N, EACH = 120, 8


@pytest.fixture
def made():
    """A pool, gains and qualities with ties, and neurons of few kinds; a fifth has no image."""
    rng = np.random.default_rng(0)
    n_images = (np.arange(N) % 5 > 0).astype(int)
    ids = [f"s{i:03d}" for i in rng.permutation(N)]
    pool = pd.DataFrame({"row": np.arange(N), "sample_id": ids, "n_images": n_images})
    gains = np.where(n_images, rng.integers(-6, 9, N) / 4, 0).astype(np.float32)
    quality = np.where(n_images, rng.integers(-8, 9, N) / 8, np.nan).astype(np.float32)
    kinds = [[rng.permutation(EACH) for _ in range(4)] for _ in range(9)]
    neurons = [np.concatenate(kinds[i]) for i in rng.integers(0, 9, N)]
    return pool, gains, quality, np.array(neurons, dtype=np.float32)


def signals_of(folder, gains, quality, neurons):
    pairs = np.stack([np.ones(len(gains), np.float32), gains], axis=1)
    header = {"columns": '["loss", "visual_gain"]'}
    for name in ("gains", "neurons"):
        (folder / name).mkdir(parents=True)
    return {
        "scores": table(quality),
        "gains": ShardedArray(write_shards(folder / "gains", pairs, 2, **header)),
        "neurons": ShardedArray(
            write_shards(folder / "neurons", neurons, 2, layers="[0, 1, 2, 3]")
        ),
    }


def slow_select(pool, gains, quality, neurons, count, cap=0.05, temperature=0.2):
    """Follow the ten steps, one sample and one place at a time."""
    ids = pool["sample_id"].tolist()
    rows = [row for row in range(len(pool)) if pool["n_images"][row]]
    by_quality = lambda row: (-quality[row], ids[row])  # noqa: E731
    kept = sorted(rows, key=lambda row: (-gains[row], ids[row]))[: math.ceil(0.6 * len(rows))]
    best = sorted(kept, key=by_quality)[: 2 * count]
    buckets = {}
    for row in sorted(best, key=ids.__getitem__):
        layers = neurons[row].reshape(4, EACH)
        top = [frozenset(layers[i, :k].tolist()) for i, k in enumerate((1, 1, 2, 3))]
        buckets.setdefault(tuple(top), []).append(row)
    weights = [sum(math.exp(quality[r] / temperature) for r in own) for own in buckets.values()]
    exact = [count * weight / sum(weights) for weight in weights]
    shares = [
        min(len(own), math.ceil(cap * count), math.floor(e))
        for own, e in zip(buckets.values(), exact, strict=True)
    ]
    order = sorted(range(len(exact)), key=lambda j: -(exact[j] - math.floor(exact[j])))
    own = list(buckets.values())
    for j in order:
        if sum(shares) < count and shares[j] < len(own[j]):
            shares[j] += 1
    chosen = [r for j, share in enumerate(shares) for r in sorted(own[j], key=by_quality)[:share]]
    for source in (best, kept, rows):
        left = [row for row in sorted(source, key=by_quality) if row not in chosen]
        chosen += left[: count - len(chosen)]
    return sorted(chosen, key=by_quality), len(buckets)


@pytest.mark.parametrize("cap", [0.05, 0.5])
@pytest.mark.parametrize("count", [1, 10, 20, 40, 57, 80, 96])
def test_it_follows_the_steps_of_the_paper(made, tmp_path, count, cap):
    pool, *values = made
    chosen = select(pool, signals_of(tmp_path, *values), count, 0, text_only="drop", cap=cap)
    chosen.check(count, N)
    expected, n_buckets = slow_select(pool, *values, count, cap)
    assert chosen.rows.tolist() == expected and (count < 10 or n_buckets > 3)
    np.testing.assert_array_equal(chosen.scores, values[1][chosen.rows])


def test_the_buckets_change_the_choice(made, tmp_path):
    pool, *values = made
    chosen = select(pool, signals_of(tmp_path, *values), 20, 0, text_only="drop", cap=0.5)
    _, quality, _ = values
    kept = sorted(np.flatnonzero(pool["n_images"]), key=lambda r: -values[0][r])[:58]
    plain = sorted(kept, key=lambda r: (-quality[r], pool["sample_id"][r]))[:20]
    assert set(chosen.rows) != set(plain)


def test_the_order_of_the_pool_does_not_matter(made, tmp_path):
    pool, *values = made
    order = np.random.default_rng(1).permutation(N)
    other, one = shuffled(pool, order), signals_of(tmp_path / "a", *values)
    two = signals_of(tmp_path / "b", *(value[order] for value in values))
    for count, text_only in ((12, "proportional"), (45, "proportional"), (20, "drop")):
        first = select(pool, one, count, 0, text_only=text_only)
        second = select(other, two, count, 0, text_only=text_only)
        np.testing.assert_array_equal(
            pool["sample_id"][first.rows], other["sample_id"][second.rows]
        )


def test_text_only_samples_get_their_share(made, tmp_path):
    pool, *values = made
    chosen = select(pool, signals_of(tmp_path, *values), 25, 0)
    expected, _ = slow_select(pool, *values, 20)
    assert chosen.rows[:20].tolist() == expected
    assert not pool["n_images"][chosen.rows[20:]].any() and np.isnan(chosen.scores[20:]).all()


def test_the_log_has_buckets_and_what_was_chosen_without(made, tmp_path, caplog):
    pool, *values = made
    with caplog.at_level("INFO", logger=magic.__name__):
        select(pool, signals_of(tmp_path, *values), 20, 0, text_only="drop")
    _, n_buckets = slow_select(pool, *values, 20)
    assert f"40 candidates in {n_buckets} buckets; " in caplog.text
    assert "of 20 chosen" in caplog.text and "by quality alone" in caplog.text


def test_quality_is_that_of_samples_with_an_image(made, tmp_path):
    pool, gains, quality, neurons = made
    looks = np.random.default_rng(5).random((N, 1)).astype(np.float32)
    signals = signals_of(tmp_path, gains, quality, neurons)
    (tmp_path / "bridging").mkdir()
    signals["bridging"] = ShardedArray(write_shards(tmp_path / "bridging", looks, 3))
    seen = pool["n_images"].to_numpy() > 0
    got = score(pool, signals, 0)
    assert np.isnan(got[~seen]).all() and got.dtype == np.float32
    parts = []
    for values in (gains[seen].astype(float), looks[seen, 0].astype(float)):
        low, middle, high = (np.percentile(values, p) for p in (5, 50, 95))
        parts.append(np.clip((values - middle) / (high - low), -3, 3))
    np.testing.assert_allclose(got[seen], (parts[0] + parts[1]) / 2, rtol=1e-6, atol=1e-7)
    only = score(pool, signals, 0, balance=1.0)
    np.testing.assert_allclose(only[seen], parts[0], rtol=1e-6, atol=1e-7)


def test_normalisation_is_cut_off_and_survives_no_spread():
    values = np.r_[np.arange(99.0), 1e6]
    got = magic.robust(values)
    assert got[-1] == 3 and got[49] == pytest.approx(-0.5 / 89.1) and np.abs(got[:-1]).max() < 1
    np.testing.assert_array_equal(magic.robust(np.full(5, 7.0)), 0)
    assert not len(magic.robust(np.empty(0)))


def test_signatures_are_sets_within_a_layer():
    stored = np.array([[1, 2, 9, 5, 6, 7], [1, 3, 9, 6, 5, 8], [2, 1, 9, 5, 6, 7]])
    assert magic.signatures(stored, [1, 2], 2).tolist() == [0, 0, 1]
    assert magic.signatures(stored, [2, 2], 2).tolist() == [0, 1, 0]
    assert magic.signatures(stored, [3, 3, 2, 2], 2).tolist() == [0, 1, 0]  # the last two
    for neurons in ([1, 4], [1]):
        with pytest.raises(InputError, match="methods.magic.neurons: .* do not fit 2 layers of 3"):
            magic.signatures(stored, neurons, 2)


def test_large_qualities_do_not_overflow():
    quality = np.array([5000.0, 4999.0, 10.0])
    assert magic.share_out(quality, np.array([0, 1, 2]), 2, 0.2, 1.0).tolist() == [0, 1]
