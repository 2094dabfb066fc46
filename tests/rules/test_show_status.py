"""scripts/show_status.py: files of each stage by state, and recent logs."""

import io
import os
import sys

import show_status

SUMMARY = """output_file\tdate\trule\tlog-file(s)\tstatus\tplan
results/x/figures/a.png\t-\tplot\t-\tmissing\tupdate pending
results/x/pool/samples.parquet\tNow\tprepare_pool\t-\tok\tno update
results/x/pool/summary.json\tNow\tprepare_pool\t-\tok\tno update
results/x/subsets/random/ratio-0.2_seed-0.json\tNow\tselect_random\t-\tok\tupdate pending
results/x/subsets/random/ratio-0.2_seed-1.json\tNow\tselect\t-\tinputs changed\tupdate pending
results/x/subsets/random/ratio-0.2_seed-2.json\t-\tselect\t-\tmissing\tupdate pending
"""


def test_a_line_for_each_stage_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    logs = tmp_path / "results/x/logs"
    logs.mkdir(parents=True)
    (logs / "now.log").write_text("first\n12:00:00 INFO records: 10 of 20\n")
    (logs / "empty.log").touch()
    (logs / "old.log").write_text("long ago\n")
    os.utime(logs / "old.log", (0, 0))
    monkeypatch.setattr(sys, "stdin", io.StringIO(SUMMARY))
    show_status.main(["results/x"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == [
        ["stage", "finished", "outdated", "missing"],
        ["pool", "2", "0", "0"],
        ["subsets", "0", "2", "1"],
        ["figures", "0", "0", "1"],
    ]
    assert lines[4][0] == "now.log," and lines[4][-3:] == ["10", "of", "20"]
    assert len(lines) == 5


def test_logs_of_a_finished_run_are_not_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/x/logs").mkdir(parents=True)
    (tmp_path / "results/x/logs/now.log").write_text("done\n")
    finished = [line for line in SUMMARY.splitlines() if "pending" not in line]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(finished)))
    show_status.main(["results/x"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["stage", "pool"]
