"""Thresholds of SemDeDup against its definition on all pairs."""

import numpy as np
import pytest
from feature_files import array_of, blobs, make_pool

from vlselect.clusters.embeddings import Embeddings
from vlselect.methods.maths import semdedup_thresholds as thresholds

FIRST = "hard"


def setting(folder, n=200, clusters=5, copies=20):
    rng = np.random.default_rng(3)
    embeddings = Embeddings(
        array_of(folder, blobs(n, copies=copies)), make_pool(n)["sample_id"].to_numpy(object), True
    )
    return embeddings, rng.integers(0, clusters, n), np.round(rng.random(n), 2).astype(np.float32)


def dropped(embeddings, cluster, distance, epsilon, first):
    """Apply SemDeDup's definition: compare each sample with all earlier ones of its cluster."""
    unit = embeddings[np.arange(len(embeddings))].astype(np.float64)
    out = np.zeros(len(embeddings), bool)
    for c in np.unique(cluster):
        sign = -1 if first == "hard" else 1
        order = sorted(np.flatnonzero(cluster == c), key=lambda i: (sign * distance[i], i))
        for i, place in enumerate(order):
            cosines = [round(float(unit[place] @ unit[other]), 6) for other in order[:i]]
            out[place] = bool(cosines) and max(cosines) > 1 - epsilon
    return out


@pytest.mark.parametrize("first", ["hard", "easy"])
def test_samples_stay_exactly_up_to_their_tolerance(tmp_path, first):
    embeddings, cluster, distance = setting(tmp_path)
    values = thresholds.tolerance(embeddings, cluster, distance, first)
    for epsilon in (1e-4, 0.013, 0.05, 0.2, 0.7):  # no rounded cosine equals 1 - epsilon
        expected = dropped(embeddings, cluster, distance, epsilon, first)
        np.testing.assert_array_equal(values < epsilon, expected)
    assert (values == thresholds.ALONE).sum() == len(np.unique(cluster))
    assert values.min() == 0


def test_blocks_do_not_matter(tmp_path, monkeypatch):
    embeddings, cluster, distance = setting(tmp_path, clusters=2)
    whole = thresholds.tolerance(embeddings, cluster, distance, FIRST)
    for rows in (1, 7, 64):
        monkeypatch.setattr(thresholds, "ROWS", rows)
        np.testing.assert_array_equal(
            thresholds.tolerance(embeddings, cluster, distance, FIRST), whole
        )


@pytest.mark.parametrize("room", [1, 40, 90])  # clusters of 33 to 47 rows: none, some, two fit
def test_clusters_may_be_read_alone_or_together(tmp_path, monkeypatch, room):
    embeddings, cluster, distance = setting(tmp_path)
    whole = thresholds.tolerance(embeddings, cluster, distance, FIRST)
    monkeypatch.setattr(thresholds, "VALUES", room * embeddings.shape[1])
    np.testing.assert_array_equal(thresholds.tolerance(embeddings, cluster, distance, FIRST), whole)


def test_copies_tie_at_zero(tmp_path):
    values = np.tile(np.array([[0.3, -1.7, 2.9]], np.float16), (50, 1))
    embeddings = Embeddings(array_of(tmp_path, values), make_pool(50)["sample_id"], True)
    got = thresholds.tolerance(embeddings, np.zeros(50, int), np.zeros(50, np.float32), FIRST)
    np.testing.assert_array_equal(got, [2.0] + [0.0] * 49)
    with pytest.raises(ValueError, match="'random'"):
        thresholds.tolerance(embeddings, np.zeros(50, int), np.zeros(50), "random")
