"""VisNec: the visual gain as it is, shares of clusters, and samples without an image."""

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from config_defaults import with_defaults
from feature_files import shuffled, table

from vlselect.core.ordering import proportional_split
from vlselect.core.store import ShardedArray
from vlselect.methods import visnec

select = with_defaults(visnec.select)
N = 90


@pytest.fixture
def made():
    """A pool, gains with ties, and clusters; every fifth sample has no image and no gain."""
    rng = np.random.default_rng(0)
    n_images = (np.arange(N) % 5 > 0).astype(int)
    ids = [f"s{i:02d}" for i in rng.permutation(N)]
    pool = pd.DataFrame({"row": np.arange(N), "sample_id": ids, "n_images": n_images})
    gains = np.where(n_images, rng.integers(-6, 9, N) / 4, 0).astype(np.float32)
    return pool, gains, rng.choice(4, N, p=[0.5, 0.3, 0.15, 0.05])


def signals_of(gains, cluster):
    clusters = pd.DataFrame({"row": np.arange(len(cluster)), "cluster": cluster})
    return {"scores": table(gains), "clusters": clusters}


def slow_select(pool, gains, cluster, budget):
    """Go down each cluster's ranking."""
    shares = proportional_split(budget, np.bincount(cluster))
    chosen = []
    for number, share in enumerate(shares):
        rows = [row for row in range(len(pool)) if cluster[row] == number]
        rows.sort(key=lambda row: (-gains[row], pool["sample_id"][row]))
        chosen += rows[:share]
    return set(chosen)


@pytest.mark.parametrize("budget", [1, 9, 18, 45, 90])
def test_every_cluster_gives_its_share_of_largest_gains(made, budget):
    pool, gains, cluster = made
    chosen = select(pool, signals_of(gains, cluster), budget, 0)
    chosen.check(budget, N)
    assert set(chosen.rows.tolist()) == slow_select(pool, gains, cluster, budget)
    np.testing.assert_array_equal(chosen.scores, gains[chosen.rows])
    assert (np.diff(chosen.scores) <= 0).all()


def test_the_order_of_the_pool_does_not_matter(made):
    pool, gains, cluster = made
    order = np.random.default_rng(1).permutation(N)
    other = shuffled(pool, order)
    for text_only in ("ranked", "proportional", "drop"):
        one = select(pool, signals_of(gains, cluster), 30, 0, text_only=text_only)
        two = select(other, signals_of(gains[order], cluster[order]), 30, 0, text_only=text_only)
        np.testing.assert_array_equal(pool["sample_id"][one.rows], other["sample_id"][two.rows])


def test_samples_without_an_image_are_ranked_or_get_their_share_or_none(made):
    pool, gains, cluster = made
    signals = signals_of(gains, cluster)
    has_image = pool["n_images"].to_numpy() > 0
    ranked = select(pool, signals, 60, 0)
    below = ranked.rows[ranked.scores < 0]
    assert 0 < (~has_image[ranked.rows]).sum() < 18 and has_image[below].all()
    shared = select(pool, signals, 30, 0, text_only="proportional")
    assert (~has_image[shared.rows]).sum() == 6 and np.isnan(shared.scores[-6:]).all()
    pictured = np.flatnonzero(has_image)
    part = pool.iloc[pictured].reset_index(drop=True)
    expected = slow_select(part, gains[pictured], cluster[pictured], 24)
    assert set(shared.rows[:24]) == set(pictured[list(expected)])
    dropped = select(pool, signals, 24, 0, text_only="drop")
    np.testing.assert_array_equal(dropped.rows, shared.rows[:24])


def test_the_score_is_the_gain(made, tmp_path):
    pool, gains, _ = made
    values = np.stack([np.ones(N, np.float32), gains], axis=1)
    header = {"columns": '["loss", "visual_gain"]'}
    array = ShardedArray(write_shards(tmp_path, values, 2, **header))
    np.testing.assert_array_equal(visnec.score(pool, {"gains": array}, 0), gains)
    with pytest.raises(ValueError, match="visnec needs the signal 'gains'"):
        visnec.score(pool, {}, 0)
    with pytest.raises(ValueError, match="gains of shape .* for 89 samples"):
        visnec.score(pool.iloc[1:], {"gains": array}, 0)


def test_missing_signals_are_errors(made):
    pool, gains, cluster = made
    for name in ("scores", "clusters"):
        signals = signals_of(gains, cluster)
        del signals[name]
        with pytest.raises(ValueError, match=f"visnec needs the signal '{name}'"):
            select(pool, signals, 5, 0)
