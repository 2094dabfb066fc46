"""ScalSelect's scores and selection, with and without text-only samples."""

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from config_defaults import with_defaults

from performance.straightforward import svd_leverage
from vlselect.core.store import ShardedArray
from vlselect.methods import scalselect

score = with_defaults(scalselect.score)
select = with_defaults(scalselect.select)

pytestmark = pytest.mark.numeric


def make_pool(folder, text_only=0, n=60):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 8)) * np.geomspace(4, 0.1, 8)
    n_images = np.ones(n, int)
    n_images[rng.choice(n, text_only, replace=False)] = 0
    values[n_images == 0] = 0
    ids = [f"s{i:02d}" for i in rng.permutation(n)]
    pool = pd.DataFrame({"row": np.arange(n), "sample_id": ids, "n_images": n_images})
    return pool, {"attended": ShardedArray(write_shards(folder, values.astype(np.float16)))}


def chosen_from(pool, scores, budget, **parameters):
    signals = {"scores": pd.DataFrame({"row": pool["row"], "score": scores})}
    chosen = select(pool, signals, budget, 0, **parameters)
    chosen.check(budget, len(pool))
    return chosen


def test_highest_leverage_is_chosen(tmp_path):
    pool, signals = make_pool(tmp_path)
    scores = score(pool, signals, 0)
    exact = signals["attended"][:].astype(np.float64)
    expected, _ = svd_leverage(exact, 0.9)
    np.testing.assert_allclose(scores, expected, rtol=np.finfo(np.float32).eps)  # as stored
    assert scores.dtype == np.float32
    chosen = chosen_from(pool, scores, 12)
    np.testing.assert_array_equal(chosen.rows, np.argsort(-expected)[:12])
    np.testing.assert_array_equal(chosen.scores, scores[chosen.rows])


def test_text_only_samples_get_their_share_or_none(tmp_path):
    pool, signals = make_pool(tmp_path, text_only=15)
    scores = score(pool, signals, 0)
    has_image = pool["n_images"].to_numpy() > 0
    np.testing.assert_array_equal(np.isnan(scores), ~has_image)
    shared = chosen_from(pool, scores, 20)
    assert (~has_image[shared.rows]).sum() == 5
    assert np.isnan(shared.scores[-5:]).all()
    dropped = chosen_from(pool, scores, 20, text_only="drop")
    assert has_image[dropped.rows].all()
    np.testing.assert_array_equal(dropped.rows[:15], shared.rows[:15])


def test_too_few_images_for_drop_and_missing_signals_are_errors(tmp_path):
    pool, signals = make_pool(tmp_path, text_only=15)
    scores = score(pool, signals, 0)
    with pytest.raises(ValueError, match="45 samples with an image"):
        chosen_from(pool, scores, 46, text_only="drop")
    with pytest.raises(ValueError, match="'attended'"):
        score(pool, {}, 0)
    with pytest.raises(ValueError, match="'scores'"):
        select(pool, {}, 5, 0)


def test_a_pool_without_images_is_an_error(tmp_path):
    pool, signals = make_pool(tmp_path, text_only=60)
    with pytest.raises(ValueError, match="two samples"):
        score(pool, signals, 0)
