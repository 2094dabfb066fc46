"""The entry score_samples, with a method made for the test."""

import sys

import numpy as np
import pandas as pd
import pytest
import score_samples
from usual_flags import usual

from vlselect import methods

METHOD = """
import numpy as np

def select(pool, signals, budget, seed): ...


def score(pool, signals, seed, *, value=1.0):
    scores = np.full(len(pool), value, dtype=np.float32)
    scores[0] = signals["base"]["score"][0] + seed
    scores[pool["n_images"].to_numpy() == 0] = np.nan
    return scores
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    folder = tmp_path / "methods"
    folder.mkdir()
    (folder / "made.py").write_text(METHOD)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "vlselect.methods.made", raising=False)
    frame = pd.DataFrame({"row": range(3), "sample_id": list("cab"), "source": "x"})
    frame = frame.assign(images=[["i"], ["i"], []], n_turns=2, n_images=[1, 1, 0])
    frame.assign(digest="0" * 64, record="{}").to_parquet(tmp_path / "samples.parquet")
    pd.DataFrame({"row": range(3), "score": [5.0, 6.0, 7.0]}).to_parquet(tmp_path / "base.parquet")

    def call(method, *more):
        out = tmp_path / "scores.parquet"
        score_samples.main(
            [
                *usual(score_samples),
                *("--method", method, "--samples", str(tmp_path / "samples.parquet")),
                *("--signal", "base", str(tmp_path / "base.parquet"), "--out", str(out), *more),
            ]
        )
        return pd.read_parquet(out)

    return call


def test_scores_are_written_row_by_row(run):
    table = run("made", "--seed", "2", "--parameters", '{"value": 0.5}')
    assert table.dtypes.map(str).to_dict() == {"row": "int64", "score": "float32"}
    assert table["row"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(table["score"], [7.0, 0.5, np.nan])


def test_bad_scores_are_refused_by_the_methods_name(run, tmp_path):
    with pytest.raises(ValueError, match="method 'random' has no scores"):
        run("random")
    with pytest.raises(ValueError, match="'made' returned scores of shape"):
        run("made", "--parameters", '{"value": Infinity}')
    assert not (tmp_path / "scores.parquet").exists()
