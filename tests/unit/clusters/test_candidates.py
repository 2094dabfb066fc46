"""Candidates for near pairs: none that is near is missed, and few others are proposed."""

import numpy as np
import pytest
from feature_files import array_of, blobs

from vlselect.clusters import candidates
from vlselect.clusters.embeddings import Embeddings

pytestmark = pytest.mark.numeric

IDS = [f"s{i:04d}" for i in range(400)]
SETTINGS = {"memory_gb": 4.0, "seed": 0}


@pytest.fixture
def embeddings(tmp_path):
    rows = blobs(n=400, k=40, noise=0.12, copies=7)
    return Embeddings(array_of(tmp_path, rows, 2), IDS, normalise=True)


def proposed(embeddings, radius, **lists):
    """Return how often each pair of places is proposed."""
    found = np.concatenate(
        list(candidates.candidate_pairs(embeddings, radius, **lists, **SETTINGS))
    )
    pairs, times = np.unique(np.sort(found, axis=1), axis=0, return_counts=True)
    return dict(zip(map(tuple, pairs.tolist()), times.tolist(), strict=True))


def near(embeddings, radius):
    rows = embeddings[np.arange(len(embeddings))].astype(np.float64)
    squared = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    return set(map(tuple, np.argwhere(np.triu(squared <= radius, 1)).tolist()))


@pytest.mark.parametrize("products", [1, 1000, 1 << 22])
def test_one_list_proposes_all_near_pairs_from_both_sides(embeddings, products, monkeypatch):
    monkeypatch.setattr(candidates, "PRODUCTS", products)
    found = proposed(embeddings, 0.2001, lists=1, probes=16)
    assert near(embeddings, 0.2) <= set(found) and set(found.values()) == {2}
    assert len(near(embeddings, 0.2)) > 100


def test_lists_propose_what_their_probes_reach(embeddings):
    rows = candidates.in_leading_directions(embeddings)
    nearest = candidates._nearest_lists(rows, 80, 2, **SETTINGS)
    expected = {}
    for one, other in near(embeddings, 0.2):
        times = (nearest[other, 0] in nearest[one]) + (nearest[one, 0] in nearest[other])
        expected |= {(one, other): times} if times else {}
    found = proposed(embeddings, 0.2001, lists=80, probes=2)
    assert expected.items() <= found.items() and 0 < len(expected) < len(near(embeddings, 0.2))


@pytest.mark.parametrize("fewest", [1, 10, 400])
def test_directions_make_no_distance_larger(embeddings, fewest, monkeypatch):
    monkeypatch.setattr(candidates, "FEWEST", fewest)
    whole = embeddings[np.arange(400)].astype(np.float64)
    fewer = candidates.in_leading_directions(embeddings).astype(np.float64)
    before, after = (np.linalg.norm(rows[:, None] - rows, axis=2) for rows in (whole, fewer))
    assert (after <= before + 1e-6).all()
    held = ((fewer - fewer.mean(axis=0)) ** 2).sum() / ((whole - whole.mean(axis=0)) ** 2).sum()
    assert 0.9 < held < 1 + 1e-6
    if fewest == 400:  # as many directions as there are
        assert fewer.shape == whole.shape and np.abs(after - before).max() < 1e-6


def test_copies_of_one_sample_have_no_directions_and_are_all_near(tmp_path):
    same = np.tile(np.arange(1, 9, dtype=np.float32), (30, 1))
    embeddings = Embeddings(array_of(tmp_path, same, 1), IDS[:30], normalise=True)
    assert len(proposed(embeddings, 1e-4, lists=1, probes=1)) == 30 * 29 / 2
