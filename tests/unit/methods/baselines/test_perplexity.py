"""Perplexity: exponential of the mean negative log-likelihood, and its middle."""

import json
import logging

import numpy as np
import pytest
from config_defaults import with_defaults
from feature_files import array_of, make_pool, table

from vlselect.methods.baselines import perplexity

score = with_defaults(perplexity.score)
select = with_defaults(perplexity.select)

pytestmark = pytest.mark.numeric


def scores_of(folder, nll):
    values = np.zeros((len(nll), 3), np.float32)
    values[:, 2] = nll
    columns = json.dumps(["margin", "el2n", "nll"])
    signals = {"likelihood": array_of(folder, values, columns=columns)}
    return score(make_pool(len(nll)), signals, 0)


def test_score_and_selection(tmp_path):
    nll = np.random.default_rng(0).exponential(size=101)
    scores = scores_of(tmp_path, nll)
    eps = np.finfo(np.float32).eps  # of the stored nll and of its exponential
    np.testing.assert_allclose(scores, np.exp(nll), rtol=eps * (1 + nll.max()))
    chosen = select(make_pool(101), {"scores": table(scores)}, 21, 0)
    chosen.check(21, 101)
    assert set(chosen.rows) == set(np.argsort(nll)[40:61])
    top = select(make_pool(101), {"scores": table(scores)}, 21, 0, keep="top")
    assert set(top.rows) == set(np.argsort(nll)[-21:])


def test_perplexities_beyond_float32_are_cut_off_and_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        scores = scores_of(tmp_path, [0.0, 88.7, 88.8, 500.0])
    assert np.isfinite(scores).all() and scores[0] == 1
    assert scores[1] < scores[2] == scores[3] == np.finfo(np.float32).max
    assert "2 perplexities" in caplog.text


def test_missing_signals_are_errors():
    with pytest.raises(ValueError, match="perplexity needs the signal 'likelihood'"):
        score(make_pool(3), {}, 0)
    with pytest.raises(ValueError, match="perplexity needs the signal 'scores'"):
        select(make_pool(3), {}, 1, 0)
