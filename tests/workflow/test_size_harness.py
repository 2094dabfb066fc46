"""The size harness on a pool of a few hundred: every row of its table is present and possible."""

import subprocess
import sys

import pandas as pd
import pytest
from running import ROOT

from performance import measure

SCRIPT = ROOT / "performance/size.py"


def test_harness_measures_what_it_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from stages import STAGES

    table = tmp_path / "size.csv"
    words = [sys.executable, SCRIPT, "--n", 512, "--work", tmp_path, "--out", table, "--side", 256]
    brief = [name for name in STAGES if name != "leverage"]  # which takes 9 s for any pool
    again = ["--divisors", 4, "--stages", "density"]
    for more in (["--divisors", 1, "--keep", "--stages", *brief], again):
        subprocess.run([*map(str, [*words, *more])], check=True, cwd=tmp_path)
    rows = pd.read_csv(table)
    parts = [part for name in brief for part in STAGES[name].parts]
    assert rows["part"].drop_duplicates().tolist() == parts
    of_density = rows[rows["part"] == "density"]
    assert of_density["rows"].tolist() == [64, 256] and of_density["exponent"].nunique() == 1
    assert rows["exponent"].notna().sum() == 2 and len(rows) == len(parts) + 1
    assert (rows["process_seconds"] >= rows["seconds"]).all()
    assert (rows["cpu_seconds"] > 0.1).all() and rows["peak_rss_gib"].between(0.03, 2).all()
    assert (rows["floor_seconds"] > 0).all()
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
