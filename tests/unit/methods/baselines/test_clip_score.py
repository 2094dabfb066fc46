"""CLIP-Score: cosines of stored embeddings, with and without text-only samples."""

import numpy as np
import pytest
from config_defaults import with_defaults
from feature_files import array_of, make_pool, table

from vlselect.methods.baselines import clip_score

score = with_defaults(clip_score.score)
select = with_defaults(clip_score.select)

pytestmark = pytest.mark.numeric


def setting(n=60, width=8, text_only=15):
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(n, 2, width))
    pairs /= np.linalg.norm(pairs, axis=2, keepdims=True)
    pool = make_pool(n)
    pool.loc[rng.choice(n, text_only, replace=False), "n_images"] = 0
    pairs[pool["n_images"] == 0, 0] = 0
    return pool, pairs.reshape(n, -1).astype(np.float16)


def test_score_is_the_cosine_and_the_highest_are_chosen(tmp_path, monkeypatch):
    pool, values = setting()
    signals = {"clip": array_of(tmp_path, values)}
    scores = score(pool, signals, 0)
    exact = values.astype(np.float64).reshape(60, 2, 8)
    for row in range(60):
        if pool["n_images"][row]:
            image, text = exact[row]
            cosine = image @ text / np.linalg.norm(image) / np.linalg.norm(text)
            assert scores[row] == pytest.approx(cosine, abs=1e-7)
        else:
            assert np.isnan(scores[row])
    monkeypatch.setattr("vlselect.methods.baselines.clip_score.ROWS", 7)
    np.testing.assert_array_equal(score(pool, signals, 0), scores)
    chosen = select(pool, {"scores": table(scores)}, 20, 0)
    chosen.check(20, 60)
    best = np.argsort(-np.nan_to_num(scores, nan=-2))
    np.testing.assert_array_equal(chosen.rows[:15], best[:15])
    assert (pool["n_images"][chosen.rows[15:]] == 0).all()
    dropped = select(pool, {"scores": table(scores)}, 20, 0, text_only="drop")
    np.testing.assert_array_equal(dropped.rows, best[:20])


def test_embeddings_that_do_not_fit_the_pool_are_errors(tmp_path):
    pool, values = setting()
    for row, half, problem in ((7, 1, "row 7 "), (11, 0, "row 11 ")):
        broken = values.copy()
        pool.loc[row, "n_images"] = 1
        broken[row] = 1
        broken[row, 8 * half : 8 * half + 8] = 0
        with pytest.raises(ValueError, match=problem):
            score(pool, {"clip": array_of(tmp_path / problem, broken)}, 0)
    pool, values = setting()
    wrong = pool.assign(n_images=1)
    with pytest.raises(ValueError, match="has an image"):
        score(wrong, {"clip": array_of(tmp_path / "wrong", values)}, 0)
    with pytest.raises(ValueError, match="has no image"):
        score(pool.assign(n_images=0), {"clip": array_of(tmp_path / "none", values)}, 0)
    with pytest.raises(ValueError, match="59 samples"):
        score(pool[:59], {"clip": array_of(tmp_path / "short", values)}, 0)
    with pytest.raises(ValueError, match="clip_score needs the signal 'clip'"):
        score(pool, {}, 0)
