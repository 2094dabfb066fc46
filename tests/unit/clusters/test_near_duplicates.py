"""Near-duplicates: every pair that brute force finds, for any order of the pool."""

import numpy as np
import pytest
from feature_files import array_of, blobs

from vlselect.clusters import near_duplicates
from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.near_duplicates import find_pairs

pytestmark = pytest.mark.numeric

IDS = [f"s{i:04d}" for i in np.random.default_rng(3).permutation(400)]

INDEX = {"index": "auto", "n_lists": None, "n_probe": 32, "memory_gb": 4.0, "seed": 0}


@pytest.fixture(scope="module")
def rows():
    return blobs(n=400, k=40, noise=0.12, copies=7)


def pairs_by_id(folder, values, ids, cosine, **settings):
    embeddings = Embeddings(array_of(folder, values, 2), ids, normalise=True)
    places, cosines, recall = find_pairs(embeddings, cosine, **INDEX | settings)
    assert (places[:, 0] < places[:, 1]).all()
    names = np.array(ids)[embeddings.rows[places]]
    found = {tuple(sorted(pair)): c for pair, c in zip(names.tolist(), cosines, strict=True)}
    assert len(found) == len(places)
    return found, recall


def brute_force(values, ids, cosine):
    exact = values.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    one, other = np.nonzero(np.triu(exact @ exact.T >= cosine - 1e-6, 1))
    return {tuple(sorted((ids[a], ids[b]))) for a, b in zip(one, other, strict=True)}


@pytest.mark.parametrize("cosine", [0.9, 0.98, 1.0])
def test_exact_search_finds_every_pair(tmp_path, rows, cosine):
    expected = brute_force(rows, IDS, cosine)
    found, recall = pairs_by_id(tmp_path, rows, IDS, cosine)
    assert set(found) == expected and len(expected) >= 7 and recall == 1
    assert min(found.values()) >= cosine - 1e-6 and max(found.values()) <= 1


def test_lists_find_nearly_every_pair_and_say_how_many(tmp_path, rows):
    expected = brute_force(rows, IDS, 0.95)
    settings = {"index": "ivf", "n_lists": 20}
    found, recall = pairs_by_id(tmp_path / "a", rows, IDS, 0.95, **settings, n_probe=20)
    assert set(found) == expected and recall == 1
    few, recall = pairs_by_id(tmp_path / "b", rows, IDS, 0.95, **settings, n_probe=1)
    assert set(few) < expected and len(few) / len(expected) < 1
    assert recall == pytest.approx(len(few) / len(expected), abs=0.1)


def test_rows_may_come_in_any_order(tmp_path, rows):
    order = np.random.default_rng(4).permutation(400)
    ids = [IDS[i] for i in order]
    for index in ("exact", "ivf"):
        settings = {"index": index, "n_probe": 4}
        one, _ = pairs_by_id(tmp_path / f"{index}1", rows, IDS, 0.95, **settings)
        other, _ = pairs_by_id(tmp_path / f"{index}2", rows[order], ids, 0.95, **settings)
        assert one == other


def test_too_many_pairs_and_wrong_cosines_are_errors(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(near_duplicates, "MOST", 50)
    with pytest.raises(ValueError, match="more than 50 pairs reach a cosine of 0.5"):
        pairs_by_id(tmp_path, rows, IDS, 0.5)
    with pytest.raises(ValueError, match="cosine 1.5"):
        pairs_by_id(tmp_path, rows, IDS, 1.5)
