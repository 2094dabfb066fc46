"""Features in the order of sample ids."""

import numpy as np
import pytest
from array_files import write_shards
from closeness import assert_close_vectors

from vlselect.clusters.embeddings import Embeddings
from vlselect.core.store import ShardedArray

pytestmark = pytest.mark.numeric


def make(folder, n=150, shards=3, normalise=False):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 6)).astype(np.float16)
    ids = [f"s{i:03d}" for i in rng.permutation(n)]
    array = ShardedArray(write_shards(folder, values, shards))
    return values, ids, Embeddings(array, ids, normalise)


def test_rows_come_in_the_order_of_ids(tmp_path):
    values, ids, embeddings = make(tmp_path)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    assert embeddings.rows.tolist() == order
    np.testing.assert_array_equal(embeddings.rows[embeddings.places], np.arange(len(ids)))
    blocks = list(embeddings.blocks(64))
    assert [start for start, _ in blocks] == [0, 64, 128]
    together = np.concatenate([block for _, block in blocks])
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together, values[order])
    np.testing.assert_array_equal(embeddings[np.array([3, 1])], values[order][[3, 1]])


def test_unit_rows(tmp_path):
    values, _, embeddings = make(tmp_path, normalise=True)
    exact = values[embeddings.rows].astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    assert_close_vectors(embeddings[np.arange(150)], exact, terms=6)


def test_bad_features_are_errors(tmp_path, monkeypatch):
    values, ids, embeddings = make(tmp_path, normalise=True)
    values[77] = 0
    monkeypatch.setattr(ShardedArray, "__getitem__", lambda self, rows: values[rows])
    with pytest.raises(ValueError, match="row 77 are all zero"):
        embeddings[np.arange(150)]
    values[77, 2] = np.nan
    with pytest.raises(ValueError, match="row 77 are not finite"):
        embeddings[np.arange(150)]
    with pytest.raises(ValueError, match="150 samples for a pool of 149"):
        Embeddings(embeddings._array, ids[1:], False)
    with pytest.raises(ValueError, match="not unique"):
        Embeddings(embeddings._array, [*ids[:-1], ids[0]], False)
