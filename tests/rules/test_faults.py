"""A short part of `make test-faults`: hostile record files, images and tars are read or refused."""

import os
import signal

import fault_trials
import image_faults
import pytest
import record_faults
import tar_faults

SHORT = {
    "records": (record_faults.kind_of, record_faults.RecordTrials, 4 * len(record_faults.KINDS)),
    "images": (image_faults.kind_of, image_faults.ImageTrials, 40 * len(image_faults.FORMATS)),
    "tars": (tar_faults.kind_of, tar_faults.TarTrials, 40 * len(tar_faults.KINDS)),
}


@pytest.mark.parametrize("name", SHORT)
def test_nothing_falls(tmp_path, name):
    kind_of, trials, n = SHORT[name]
    told = []
    with trials(tmp_path / name, 7) as trial:
        rows = fault_trials.table(fault_trials.run(kind_of, trial, range(n)), told.append)
    assert not sum(row.counts[fault_trials.FELL] for row in rows.values()), "\n".join(told)
    assert sum(sum(row.counts.values()) for row in rows.values()) == n
    assert all(row.counts[fault_trials.REFUSED] for row in rows.values() if name == "images")


class Failing(fault_trials.Trials):
    """Trials that fall in every way."""

    def __call__(self, number):
        if number == 1:
            raise SystemExit
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 3:
            return len(bytearray(3 << 30))
        if number == 4:
            while True:
                pass
        return fault_trials.READ


def test_what_falls_is_counted_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(fault_trials, "SECONDS", 0.5)
    ended = list(fault_trials.run(str, Failing(), range(6)))
    assert [o.ended for o in ended] == ["read", *["fell"] * 4, "read"]
    details = " ".join(o.detail for o in ended)
    for what in ("SystemExit", "ended with -9", "MemoryError", "took too long"):
        assert what in details
