"""PRISM against all pairs of correlations, with and without text-only samples."""

import numpy as np
import pytest
from array_files import poison
from config_defaults import with_defaults
from feature_files import array_of, blobs, make_pool, shuffled, table

from vlselect.core.ordering import top
from vlselect.core.store import ShardedArray
from vlselect.methods import prism
from vlselect.methods.maths import subspace

score = with_defaults(prism.score)
select = with_defaults(prism.select)

pytestmark = pytest.mark.numeric
N = 150


def setting(text_only=30, offset=3.0):
    """A pool whose features share a strong mean direction, with copies; text-only rows are zero."""
    pool, values = make_pool(N), blobs(N, copies=20) + np.float16(offset)
    pool.loc[np.random.default_rng(1).choice(N, text_only, replace=False), "n_images"] = 0
    values[pool["n_images"] == 0] = 0
    return pool, values


def slow_means(values, variant):
    """Correlate every pair of rows by the definition, and average over the other rows."""
    values = values.astype(np.float64)
    if variant == "v1":
        pairs = np.corrcoef(values)
    else:
        left = values - values.mean(axis=0)
        pairs = [[a @ b / np.sqrt(a @ a) / np.sqrt(b @ b) for b in left] for a in left]
        pairs = np.array(pairs)
    others = ~np.eye(len(values), dtype=bool)
    return np.array([row[keep].mean() for row, keep in zip(pairs, others, strict=True)])


@pytest.mark.parametrize("variant", prism.VARIANTS)
@pytest.mark.parametrize("shards", [1, 2])
def test_scores_are_minus_the_mean_of_all_pairs(tmp_path, monkeypatch, variant, shards):
    monkeypatch.setattr(subspace, "ROWS", 16)
    pool, values = setting()
    seen = pool["n_images"].to_numpy() > 0
    signals = {"visual": array_of(tmp_path, values, shards)}
    scores = score(pool, signals, 0, variant=variant)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(scores), ~seen)
    expected = slow_means(values[seen], variant)
    np.testing.assert_allclose(-scores[seen], expected, rtol=1e-6, atol=1e-7)
    assert np.ptp(expected) > 0.01
    chosen = select(pool, {"scores": table(scores)}, 40, 0)
    ids = pool["sample_id"].to_numpy(object)
    best = np.flatnonzero(seen)[top(-expected.astype(np.float32), 32, ids[seen])]
    assert set(chosen.rows[:32]) == set(best)


def test_the_mean_of_the_pool_tells_the_variants_apart(tmp_path):
    pool, values = setting(text_only=0, offset=30.0)
    signals = {"visual": array_of(tmp_path, values)}
    centred, plain = (score(pool, signals, 0, variant=v) for v in ("v4", "v1"))
    far = {"visual": array_of(tmp_path / "far", (values - np.float16(30)).astype(np.float16))}
    shift = np.abs(centred - score(pool, far, 0, variant="v4")).max()
    assert shift < 0.05  # a shift of all features leaves v4 as it is, up to float16
    assert np.corrcoef(centred, plain)[0, 1] < 0.9


def test_text_only_samples_get_their_share_or_none(tmp_path):
    pool, values = setting()
    scores = table(score(pool, {"visual": array_of(tmp_path, values)}, 0))
    has_image = pool["n_images"].to_numpy() > 0
    shared = select(pool, {"scores": scores}, 40, 0)
    shared.check(40, N)
    assert (~has_image[shared.rows]).sum() == 8  # 30 of 150
    dropped = select(pool, {"scores": scores}, 40, 0, text_only="drop")
    assert has_image[dropped.rows].all()
    np.testing.assert_array_equal(dropped.rows[:32], shared.rows[:32])


@pytest.mark.parametrize("variant", prism.VARIANTS)
def test_the_order_of_the_pool_does_not_matter(tmp_path, variant):
    pool, values = setting()
    order = np.random.default_rng(5).permutation(N)
    chosen = []
    for name, own, rows in (("a", pool, values), ("b", shuffled(pool, order), values[order])):
        signals = {"visual": array_of(tmp_path / name, rows)}
        scores = table(score(own, signals, 0, variant=variant))
        found = select(own, {"scores": scores}, 40, 0)
        chosen.append(own["sample_id"].to_numpy(object)[found.rows].tolist())
    assert chosen[0] == chosen[1]  # also among copies, whose scores are equal: ties by id


def test_a_sample_at_the_mean_correlates_with_none(tmp_path):
    values = np.float16([[1, 2], [3, 2], [2, 1], [2, 3], [2, 2]])
    array = array_of(tmp_path, values)
    found = prism.mean_correlations(array, np.ones(5, bool), "v4")
    np.testing.assert_allclose(found, [-0.25, -0.25, -0.25, -0.25, 0])


def test_what_cannot_be_correlated_is_an_error(tmp_path):
    pool, values = setting()
    with pytest.raises(ValueError, match="prism needs the signal 'visual'"):
        score(pool, {}, 0)
    with pytest.raises(ValueError, match="two samples with an image, not 0"):
        score(pool.assign(n_images=0), {"visual": array_of(tmp_path / "none", values)}, 0)
    same = np.repeat(np.float16([[0.1, 0.7, 0.3]]), N, axis=0)
    with pytest.raises(ValueError, match="all 120 representations are equal"):
        score(pool, {"visual": array_of(tmp_path / "same", same)}, 0)
    flat = np.repeat(np.arange(1, N + 1, dtype=np.float16)[:, None], 3, axis=1)
    with pytest.raises(ValueError, match="representations are constant"):
        score(pool, {"visual": array_of(tmp_path / "flat", flat)}, 0, variant="v1")
    with pytest.raises(ValueError, match="variant 'v2'"):
        score(pool, {"visual": array_of(tmp_path / "v2", values)}, 0, variant="v2")
    row = int(np.argmax(pool["n_images"]))
    broken: ShardedArray = poison(array_of(tmp_path / "broken", values), row)
    with pytest.raises(ValueError, match=f"row {row} is not finite"):
        score(pool, {"visual": broken}, 0)
