"""The size harness on a pool of a few hundred: every row of its table is present and possible."""

import subprocess
import sys

import pandas as pd
import pytest
from running import ROOT

from performance import measure

SCRIPT = ROOT / "performance/size.py"


def test_harness_measures_what_it_runs(tmp_path):
    table = tmp_path / "size.csv"
    words = [sys.executable, SCRIPT, "--n", 512, "--work", tmp_path, "--out", table]
    words += ["--divisors", 4, 1, "--stages", "pool", "density"]
    subprocess.run([*map(str, words)], check=True, cwd=tmp_path)
    rows = pd.read_csv(table)
    assert rows["part"].tolist() == ["pool preparation"] * 2 + ["density"] * 2
    assert rows["rows"].tolist() == [128, 512, 64, 256]
    assert (rows["process_seconds"] >= rows["seconds"]).all()
    assert (rows["cpu_seconds"] > 0.1).all() and rows["peak_rss_gib"].between(0.03, 2).all()
    assert (rows["floor_seconds"] > 0).all()
    assert rows.groupby("part")["exponent"].nunique().eq(1).all()
    figures = {path.name for path in tmp_path.iterdir()}
    assert figures >= {"size.png", "size.svg"} and "size-stores" not in figures


def test_a_stage_that_fails_is_an_error_with_its_log():
    code = "import sys; sys.exit('no such pool')"
    with pytest.raises(RuntimeError, match="no such pool"):
        measure.run([sys.executable, "-c", code])


def test_memory_is_that_of_the_child():
    held = bytearray(300 << 20)  # ours, not the child's
    code = "import time; held = b'x' * (100 << 20); time.sleep(0.2)"
    cost = measure.run([sys.executable, "-c", code])
    assert 100 << 20 < cost.peak_anonymous <= cost.peak_rss < len(held)
    assert cost.seconds > 0.2
