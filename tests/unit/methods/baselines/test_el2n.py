"""EL2N: its column of the likelihood signals, and the samples it keeps."""

import json

import numpy as np
import pytest
from config_defaults import with_defaults
from feature_files import array_of, make_pool, table

from vlselect.methods.baselines import el2n

score = with_defaults(el2n.score)
select = with_defaults(el2n.select)

COLUMNS = json.dumps(["nll", "el2n", "margin"])


def test_score_and_selection(tmp_path):
    values = np.random.default_rng(0).random((90, 3)).astype(np.float32)
    pool = make_pool(90)
    scores = score(pool, {"likelihood": array_of(tmp_path, values, 2, columns=COLUMNS)}, 0)
    np.testing.assert_array_equal(scores, values[:, 1])
    ascending = np.argsort(values[:, 1])
    for keep, expected in (
        ("top", ascending[-18:]),
        ("middle", ascending[36:54]),
        ("bottom", ascending[:18]),
    ):
        chosen = select(pool, {"scores": table(scores)}, 18, 0, keep=keep)
        chosen.check(18, 90)
        assert set(chosen.rows) == set(expected)
        np.testing.assert_array_equal(chosen.scores, scores[chosen.rows])
    default = select(pool, {"scores": table(scores)}, 18, 0)
    assert default.rows[0] == ascending[-1]


def test_missing_signals_and_scores_are_errors():
    pool = make_pool(3)
    with pytest.raises(ValueError, match="el2n needs the signal 'likelihood'"):
        score(pool, {}, 0)
    with pytest.raises(ValueError, match="el2n needs the signal 'scores'"):
        select(pool, {}, 1, 0)
    with pytest.raises(ValueError, match="NaN"):
        select(pool, {"scores": table([1, np.nan, 2])}, 1, 0)
