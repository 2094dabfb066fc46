"""Self-Filter's selection against a loop that sorts everything again at every step."""

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from closeness import assert_close_sums
from config_defaults import with_defaults

from vlselect.core.store import ShardedArray
from vlselect.methods.baselines import self_filter

select = with_defaults(self_filter.select)

pytestmark = pytest.mark.numeric


def reference(difficulty, features, ids, budget, gamma=1.0, k=10, negative="reward"):
    """Take the hardest sample left, then change the most similar others, and repeat."""
    unit = features.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    left = dict(enumerate(difficulty.astype(float)))
    taken, scores = [], []
    for _ in range(budget):
        row = min(left, key=lambda i: (-left[i], ids[i]))
        value = left.pop(row)
        taken.append(row)
        scores.append(value)
        if value < 0 and negative == "ignore":
            continue
        similarity = {i: unit[i] @ unit[row] for i in left}
        for i in sorted(left, key=lambda i: (-similarity[i], ids[i]))[:k]:
            left[i] -= gamma * value * similarity[i] ** 2
    return taken, scores


def make(folder, n=150, offset=0.0, seed=0, shards=1):
    """Return a clustered pool with text-only samples: (pool, difficulty, features, signals)."""
    rng = np.random.default_rng(seed)
    features = np.hstack([rng.normal(size=(8, 12))[rng.integers(0, 8, n)] for _ in range(2)])
    features += 0.4 * rng.normal(size=features.shape)
    halves = features.reshape(n, 2, 12)
    halves /= np.linalg.norm(halves, axis=2, keepdims=True)
    halves[rng.random(n) < 0.1, 0] = 0
    features = halves.reshape(n, 24).astype(np.float16)
    difficulty = (rng.normal(size=n) + offset).astype(np.float32)
    ids = [f"s{i:03d}" for i in rng.permutation(n)]
    pool = pd.DataFrame({"row": np.arange(n), "sample_id": ids})
    folder.mkdir(exist_ok=True)
    return pool, difficulty, features, signals_of(folder, difficulty, features, shards)


def signals_of(folder, difficulty, features, shards=1):
    return {
        "scores": pd.DataFrame({"row": np.arange(len(difficulty)), "score": difficulty}),
        "clip": ShardedArray(write_shards(folder, features, shards)),
    }


@pytest.mark.parametrize("offset", [3.0, 0.0, -3.0], ids=["positive", "mixed", "negative"])
@pytest.mark.parametrize("negative", ["reward", "ignore"])
def test_same_samples_as_the_slow_loop(tmp_path, monkeypatch, offset, negative):
    monkeypatch.setattr(self_filter, "ROWS", 32)
    monkeypatch.setattr(self_filter, "QUERIES", 7)
    pool, difficulty, features, signals = make(tmp_path, offset=offset)
    chosen = select(pool, signals, 70, 0, negative=negative)
    rows, scores = reference(difficulty, features, pool["sample_id"], 70, negative=negative)
    assert chosen.rows.tolist() == rows
    largest = np.abs(difficulty).max()  # a score is a difficulty minus shares of other scores
    assert_close_sums(chosen.scores, scores, terms=24, scale=largest)
    chosen.check(70, 150)


@pytest.mark.parametrize(("gamma", "k"), [(0.3, 3), (1.0, 1), (2.0, 40)])
def test_strength_and_number_of_neighbours(tmp_path, gamma, k):
    pool, difficulty, features, signals = make(tmp_path, offset=1.0)
    chosen = select(pool, signals, 60, 0, gamma=gamma, neighbours=k)
    assert (
        chosen.rows.tolist() == reference(difficulty, features, pool["sample_id"], 60, gamma, k)[0]
    )


def test_lists_that_run_out_are_made_anew(tmp_path, monkeypatch):
    """If lists are short and all samples are taken, neighbours are still the remaining ones."""
    monkeypatch.setattr(self_filter, "SPARE", 1)
    pool, difficulty, features, signals = make(tmp_path, n=60, offset=-2.0)
    chosen = select(pool, signals, 60, 0, neighbours=4)
    assert chosen.rows.tolist() == reference(difficulty, features, pool["sample_id"], 60, k=4)[0]


def test_without_penalty_the_hardest_are_taken(tmp_path):
    pool, difficulty, _, signals = make(tmp_path)
    chosen = select(pool, signals, 20, 0, gamma=0)
    np.testing.assert_array_equal(chosen.rows, np.argsort(-difficulty)[:20])
    np.testing.assert_array_equal(chosen.scores, difficulty[chosen.rows])


def test_the_penalty_spreads_and_the_reward_gathers(tmp_path):
    """Of two pairs of copies, the penalty skips the harder pair's second, the reward takes it."""
    features = np.eye(2, dtype=np.float16)[[0, 0, 1, 1]]
    pool = pd.DataFrame({"sample_id": list("abcd")})

    def chosen(difficulty, negative="reward"):
        signals = signals_of(tmp_path, np.array(difficulty, np.float32), features)
        return select(pool, signals, 2, 0, neighbours=1, negative=negative).rows.tolist()

    assert chosen([4, 3.5, 2, 1]) == [0, 2]
    assert chosen([-1, -4, -3.5, -5]) == [0, 1]  # -4 + 1 is above -3.5
    assert chosen([-1, -4, -3.5, -5], "ignore") == [0, 2]


def test_equal_difficulties_and_copies_follow_the_sample_id(tmp_path):
    features = np.eye(3, dtype=np.float16)[[0, 0, 0, 1, 1, 2]]
    pool = pd.DataFrame({"sample_id": ["f", "c", "d", "b", "a", "e"]})
    signals = signals_of(tmp_path, np.ones(6, np.float32), features)
    chosen = select(pool, signals, 6, 0, neighbours=1)
    expected = reference(np.ones(6), features, pool["sample_id"], 6, k=1)
    assert chosen.rows.tolist() == expected[0]
    np.testing.assert_array_equal(chosen.scores, expected[1])


def test_the_order_of_the_pool_and_its_shards_do_not_matter(tmp_path):
    pool, difficulty, features, signals = make(tmp_path / "a")
    names = pool["sample_id"][select(pool, signals, 50, 0).rows].tolist()
    mixed = np.random.default_rng(5).permutation(len(pool))
    (tmp_path / "b").mkdir()
    other = signals_of(tmp_path / "b", difficulty[mixed], features[mixed], shards=2)
    moved = pool.iloc[mixed].reset_index(drop=True)
    assert moved["sample_id"][select(moved, other, 50, 7).rows].tolist() == names


@pytest.mark.parametrize("budget", [0, 1, 149, 150])
def test_any_budget_is_met(tmp_path, budget):
    pool, *_, signals = make(tmp_path)
    select(pool, signals, budget, 0).check(budget, 150)


def test_bad_input_is_named(tmp_path):
    pool, difficulty, features, signals = make(tmp_path)
    with pytest.raises(ValueError, match="'clip'"):
        select(pool, {"scores": signals["scores"]}, 5, 0)
    with pytest.raises(ValueError, match="'clamp'"):
        select(pool, signals, 5, 0, negative="clamp")
    with pytest.raises(ValueError, match="gamma -1"):
        select(pool, signals, 5, 0, gamma=-1)
    with pytest.raises(ValueError, match="budget of 151"):
        select(pool, signals, 151, 0)
    with pytest.raises(ValueError, match="149"):
        select(pool.iloc[:-1], signals, 5, 0)
    difficulty[3] = np.nan
    with pytest.raises(ValueError, match="row 3"):
        select(pool, signals | {"scores": pd.DataFrame({"score": difficulty})}, 5, 0)
    features[9] = 0
    zero = signals_of(tmp_path, np.ones(150, np.float32), features)
    with pytest.raises(ValueError, match="row 9"):
        select(pool, zero, 5, 0)
