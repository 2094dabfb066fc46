"""Calibration: what a script takes is divided rightly, failures are told, rates are sane."""

import logging

import pytest

from vlselect.core import log
from vlselect.plan import calibration, planning
from vlselect.pool.samples import Samples


def test_a_fixed_part_and_a_slope_are_told_apart():
    small = {"wall": 9.0, "timed": {"features": 2.0 + 4 * 0.5}}
    large = {"wall": 15.0, "timed": {"features": 2.0 + 16 * 0.5}}
    found = calibration.slopes(small, large, [4, 16])
    assert found == {"fixed": 15 - 16 * 0.5, "each": 0.5, "tasks": {"features": 0.5}}


def test_tasks_have_slopes_and_counts_of_their_own():
    small = {"wall": 3.0, "timed": {"a: 2 answers": 1.0, "b: 4 answers": 1.0}}
    large = {"wall": 10.0, "timed": {"a: 4 answers": 3.0, "b: 8 answers": 2.0}}
    counts = {"a": [2, 4], "b": [4, 8]}
    found = calibration.slopes(small, large, counts)
    assert found["tasks"] == {"a": 1.0, "b": 0.25}
    assert found["fixed"] == 10 - 4 * 1.0 - 8 * 0.25


def test_a_smaller_run_that_is_slower_leaves_the_larger_ones_mean():
    small, large = {"wall": 9, "timed": {"x": 5.0}}, {"wall": 6, "timed": {"x": 4.0}}
    found = calibration.slopes(small, large, [4, 16])
    assert found["each"] == 0.25 and found["fixed"] == 2.0


class Fake:
    """A script and the clock that measures it, so that the machine's load is in no time."""

    def __init__(self):
        self.now = 1000.0

    def perf_counter(self):
        return self.now

    def main(self, argv):
        """Start, and work a while for each sample."""
        self.now += 2.0
        with log.timed("work"):
            self.now += float(argv[0])
        if float(argv[0]) > 0.5:
            raise ValueError("too long")


@pytest.fixture
def script(monkeypatch, caplog):
    """A script that can be imported by its name."""
    fake = Fake()
    monkeypatch.setattr(calibration.importlib, "import_module", lambda name: fake)
    for module in (calibration, log):
        monkeypatch.setattr(module, "time", fake)
    caplog.set_level(logging.INFO, log.__name__)
    return "fake"


def test_a_script_is_measured_in_a_process_of_its_own(script):
    found = calibration.measure(script, [["0.1"], ["0.4"]], [1, 4])
    assert found["each"] == pytest.approx(0.1) and found["fixed"] == pytest.approx(2)
    assert found["memory"] > 1e6 and found["gpu_memory"] == 0


def test_a_script_that_fails_says_so(script):
    assert calibration.measure(script, [["0"], ["0.6"]], [1, 4]) == {
        "error": "ValueError: too long"
    }


def test_rates_of_the_machine_are_those_that_a_plan_takes(tiny_pool, tmp_path):
    entry = tmp_path / "entry.py"
    entry.write_text("print('help')")
    samples = Samples(tiny_pool / "samples.parquet")
    rates = planning.Rates(**calibration.machine_rates(tmp_path, samples, entry))
    assert rates.single > 1e8 and rates.double > 1e7 and rates.read > 1e6
    assert 0 < rates.start < 60 and rates.records > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["entry.py"]
