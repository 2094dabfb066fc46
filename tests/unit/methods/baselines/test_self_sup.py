"""Self-supervised prototypes: distances, kept samples and invariances."""

import numpy as np
import pytest
from config_defaults import with_defaults
from feature_files import array_of, blobs, make_pool, shuffled, table
from threadpoolctl import threadpool_limits

from vlselect.methods.baselines import self_sup

score = with_defaults(self_sup.score)
select = with_defaults(self_sup.select)


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def test_outliers_are_hard_and_typical_samples_easy(tmp_path):
    rng = np.random.default_rng(0)
    values = np.repeat(np.eye(6), 40, axis=0) + 0.05 * rng.normal(size=(240, 6))
    values[::20] = rng.normal(size=(12, 6))  # outliers
    pool = make_pool(240)
    signals = {"last_token": array_of(tmp_path, 7 * values.astype(np.float16))}
    scores = score(pool, signals, 0, n_clusters=6)
    assert scores.dtype == np.float32 and (scores >= 0).all()
    hard = select(pool, {"scores": table(scores)}, 10, 0)
    hard.check(10, 240)
    assert set(hard.rows) <= set(range(0, 240, 20))
    np.testing.assert_array_equal(hard.scores, np.sort(scores)[::-1][:10])
    easy = select(pool, {"scores": table(scores)}, 24, 0, keep="easy")
    np.testing.assert_array_equal(easy.scores, np.sort(scores)[:24])


def test_neither_shards_nor_the_order_of_the_pool_matter(tmp_path):
    values, pool = blobs(copies=30), make_pool(300)
    scores = score(pool, {"last_token": array_of(tmp_path / "a", values)}, 0, n_clusters=7)
    order = np.random.default_rng(1).permutation(300)
    signals = {"last_token": array_of(tmp_path / "b", values[order], shards=3)}
    other = shuffled(pool, order)
    np.testing.assert_array_equal(score(other, signals, 0, n_clusters=7), scores[order])
    assert not np.array_equal(score(other, signals, 1, n_clusters=7), scores[order])
    ids = pool["sample_id"].to_numpy()
    for keep in ("hard", "easy"):
        one = select(pool, {"scores": table(scores)}, 60, 0, keep=keep)
        two = select(other, {"scores": table(scores[order])}, 60, 0, keep=keep)
        np.testing.assert_array_equal(ids[one.rows], other["sample_id"].to_numpy()[two.rows])


def test_bad_input_is_an_error(tmp_path):
    pool, values = make_pool(100), blobs(100)
    values[31] = 0
    with pytest.raises(ValueError, match="row 31 are all zero"):
        score(pool, {"last_token": array_of(tmp_path, values)}, 0)
    with pytest.raises(ValueError, match="self_sup needs the signal 'last_token'"):
        score(pool, {}, 0)
    with pytest.raises(ValueError, match="'top'"):
        select(pool, {"scores": table(np.ones(100))}, 5, 0, keep="top")
