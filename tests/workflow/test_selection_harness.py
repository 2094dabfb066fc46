"""The harness that times selection mathematics: contenders are checked, timed and drawn."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from running import ROOT
from threadpoolctl import threadpool_limits

HERE = ROOT / "performance"
QUICK = ("mmd-steps", "influence")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    out = tmp_path_factory.mktemp("selection")
    command = [sys.executable, HERE / "selection_mathematics.py", "--out", out, "--rounds", "1"]
    subprocess.run(
        [*command, "--sizes", "200", "--only", *QUICK],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert (out / "selection_mathematics.png").stat().st_size > 10_000
    with (out / "selection_mathematics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_contenders_are_checked_and_timed(rows):
    assert len({row["method"] for row in rows}) == len(QUICK) and len(rows) == 5
    for row in rows:
        name = f"{row['method']}, {row['contender']}"
        assert float(row["seconds"]) > 0 and 0.05 < float(row["peak_gib"]) < 2, name
        if row["contender"] != "ours":
            assert float(row["difference_to_ours"]) < 1e-3, name
    slow = [row for row in rows if row["contender"] == "set by set"]
    assert float(slow[0]["times_ours"]) > 0
    assert [float(r["share_of_floor"]) > 0 for r in rows if r["share_of_floor"]] == [True]


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import selection_mathematics

    return selection_mathematics


@pytest.mark.parametrize(
    "method", ["mmd", "mmd-whole", "influence", "leverage", "d2", "semdedup", "kmeans"]
)
def test_ours_and_the_plain_forms_agree(harness, tmp_path, method):
    case = harness.CASES[method]
    case.make(tmp_path, 200)
    with threadpool_limits(1):
        results = {name: run(tmp_path) for name, run in case.contenders.items()}
    for name, arrays in results.items():
        assert harness.require_same(name, results["ours"], arrays) < 1e-3


def test_another_result_is_not_timed(harness):
    picks, scores = {"picks": np.arange(2000)}, {"scores": np.linspace(0, 1, 9)}
    assert harness.require_same("a", picks, {"picks": np.arange(2000)[::-1] + 1}) < 6e-4
    with pytest.raises(ValueError, match="b: the result is off by 0.5"):
        harness.require_same("b", picks, {"picks": np.arange(2000) + 1000})
    assert harness.require_same("c", scores, {"scores": scores["scores"] + 1e-5}) < 2e-5
    with pytest.raises(ValueError, match="d: the result is off by 0.01"):
        harness.require_same("d", scores, {"scores": scores["scores"] * 0.99})


def test_limits_are_reasons_and_other_failures_are_errors(harness, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "scripts"))
    harness.CASES["d2"].make(tmp_path, 8000)  # all distances take half a GiB
    assert harness.alone("d2", "all pairs", tmp_path, memory=1 << 30).why_not == "needs over 1 GiB"
    assert harness.alone("d2", "all pairs", tmp_path, seconds=1).why_not == "takes over 1 s"
    with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
        harness.alone("d2", "nobody", tmp_path)


def test_what_was_too_much_is_not_tried_on_more(harness, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "scripts"))
    given_up = {"all pairs": "takes over 60 s already at 100 samples"}
    rows = harness.compare("d2", 400, tmp_path, 1, given_up)
    assert [row["why_not"] for row in rows] == ["", "takes over 60 s already at 100 samples"]
    assert rows[0]["rounds"] == 1 and np.isnan(rows[1]["seconds"])
