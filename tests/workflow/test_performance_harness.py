"""The harness that times gradients: all contenders are checked, timed and drawn, in short."""

import csv
import os
import subprocess

import pytest
from running import ROOT
from warm_python import warm_python

HERE = ROOT / "performance"


PARTS = ("per_sample_gradients", "projections", "end_to_end", "waiting", "kept_memory")


def run(out, *parts):
    """Run parts of the harness; return their tables by name."""
    subprocess.run(
        [warm_python(), HERE / "gradients.py", "--short", "--out", out, "--parts", *parts],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    found = {}
    for path in out.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            found[path.stem] = list(csv.DictReader(file))
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("performance")


@pytest.fixture(scope="module")
def tables(out):
    found = run(out, *PARTS)
    assert (out / "gradients.png").stat().st_size > 10_000
    return found


def test_gradients_are_exact_and_timed(tables):
    rows = {row["contender"]: row for row in tables["per_sample_gradients"]}
    assert float(rows["ours"]["worst_error"]) < 1e-4
    assert float(rows["loop, batch size 1"]["times_ours"]) > 0
    assert float(rows["ours"]["share_of_product_rate"]) > 0
    assert "vmap" in rows["vmap(grad), whole model"]["why_not"]


def test_projections_keep_inner_products(tables):
    rows = {row["projection"]: row for row in tables["projection"]}
    for name, row in rows.items():
        assert 0 < float(row["relative_error"]) < 1.5, name
        assert float(row["ms_per_sample"]) > 0 and float(row["share_of_pass"]) > 0, name


def test_the_whole_job_is_done_by_all_that_can(tables):
    rows = {row["contender"]: row for row in tables["end_to_end"]}
    for name in ("ours shifted", "ours sjlt", "one by one (as LESS, ICONS)", "TRAKer, iterative"):
        assert float(rows[name]["ms_per_sample"]) > 0, name
        assert float(rows[name]["worst_error"]) < 5e-3, name
    shares = [float(v) for k, v in rows["ours shifted"].items() if k.startswith("share: ")]
    assert sum(shares) == pytest.approx(1, abs=0.01) and min(shares) > -0.01


def test_waiting_is_a_share_with_helpers_and_without(tables):
    assert [row["workers"] for row in tables["waiting"]] == ["0", "1"]
    assert all(0 < float(row["waiting"]) < 1 for row in tables["waiting"])


def test_memory_is_kept_or_given_back(tables):
    given_back, kept = tables["kept_memory"]
    assert (given_back["kept"], kept["kept"]) == ("False", "True")
    assert float(kept["ms_per_sample"]) > 0 and float(kept["peak_gib"]) > 0
    assert float(given_back["times_not_kept"]) == 1 and float(kept["times_not_kept"]) > 0


def test_each_dtype_and_rank_is_measured_with_bergson_or_without(out, tables):
    rows = run(out, "beside_bergson")["beside_bergson"]
    ours = [row for row in rows if row["contender"] == "ours projected"]
    assert [(row["model"], row["dtype"], row["rank"]) for row in ours] == [
        *(("42M", "float32", "8"), ("42M", "float32", "128")),
        *(("42M", "bfloat16", "128"), ("42M", "bfloat16", "16")),
        *(("135M", "float32", "16"), ("135M", "bfloat16", "16")),
    ]
    assert all(float(row["ms_per_sample"]) > 0 for row in rows)
    assert all(0 < float(row["products_error"]) < 0.2 for row in ours)
    for row in (row for row in rows if row["contender"] == "ours formed"):
        off = float(row["gradient_error"])
        assert off == 0 if row["dtype"] == "float32" else 0 < off < 0.05


def test_a_wrong_gradient_is_not_timed(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import references
    import torch

    exact = torch.eye(2, 5)
    assert references.require_exact("a", exact * 1.0001, exact) < 2e-3
    with pytest.raises(ValueError, match="b: a sample's gradient is off by"):
        references.require_exact("b", exact.flip(0), exact)
