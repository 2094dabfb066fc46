"""lmms_eval answers like run_benchmarks; runs only if an environment with it is named.

VLSELECT_LMMS_PYTHON=/path/to/venv/bin/python python -m pytest tests/rules/test_run_lmms_eval.py
"""

import json
import os

import pandas as pd
import pytest
import run_benchmarks
import run_lmms_eval
from task_files import write_task
from usual_flags import usual

from vlselect.core.errors import InputError

PYTHON = os.environ.get("VLSELECT_LMMS_PYTHON")
needs_lmms_eval = pytest.mark.skipif(
    not PYTHON, reason="VLSELECT_LMMS_PYTHON names no interpreter with lmms_eval"
)


def flags(script, tiny_vlm, tiny_pool, test, out):
    return [
        *usual(script),
        *("--task", "words", "exact_match", "{}", str(test), str(tiny_pool / "images"), "6"),
        *("--model", str(tiny_vlm), "--device", "cpu", "--out", str(out)),
    ]


def lmms_flags(python):
    arguments = json.dumps({"dtype": "float32"})
    return ["--adapter", "llava_hf", "--arguments", arguments, "--python", python]


@needs_lmms_eval
def test_it_gives_the_answers_that_run_benchmarks_gives(tiny_vlm, tiny_pool, tmp_path):
    rows = [0, 1, 3, 4, 5, 6]  # one image, two, several turns
    write_task(tiny_pool, tmp_path / "test.parquet", rows)
    given = (tiny_vlm, tiny_pool, tmp_path / "test.parquet")
    run_benchmarks.main(flags(run_benchmarks, *given, tmp_path / "ours"))
    theirs = flags(run_lmms_eval, *given, tmp_path / "theirs")
    run_lmms_eval.main([*theirs, *lmms_flags(PYTHON)])
    one, other = (pd.read_parquet(tmp_path / d / "words.parquet") for d in ("ours", "theirs"))
    pd.testing.assert_frame_equal(one, other)
    summary = json.loads((tmp_path / "theirs/words.json").read_text())
    assert summary["n"] == 6 and summary["lmms_eval"]["adapter"] == "llava_hf"
    assert summary["lmms_eval"]["exact_match"] == pytest.approx(summary["score"])


def test_an_interpreter_without_it_is_an_error(tiny_vlm, tiny_pool, tmp_path):
    write_task(tiny_pool, tmp_path / "test.parquet", [0])
    test = tmp_path / "test.parquet"
    arguments = flags(run_lmms_eval, tiny_vlm, tiny_pool, test, tmp_path / "out")
    with pytest.raises(InputError, match="has no working lmms_eval"):
        run_lmms_eval.main([*arguments, *lmms_flags("/bin/false")])
    assert not (tmp_path / "out").exists()
