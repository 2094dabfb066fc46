"""The overhead harness: a run's jobs are read, their starts timed and drawn."""

import csv
import json
import os
import subprocess

import pytest
import yaml
from running import ROOT, snakemake, stand_in, succeeded
from warm_python import warm_python

HERE = ROOT / "performance"
RULES = ("plot_overlap", "plot_votes")
LOG = """\
[Sat Nov 21 23:59:50 2026]
localrule score_el2n:
    input: scripts/score_samples.py, scripts/vlselect/methods/baselines/el2n.py, \
scripts/vlselect/core/__init__.py, scripts/vlselect/core/store.py, results/a/pool/samples.parquet
    output: results/a/scores/el2n.parquet
    log: results/a/logs/el2n.log
    jobid: 4
    benchmark: results/a/costs/el2n.jsonl
[Sat Nov 21 23:59:52 2026]
rule run_benchmarks:
    input: scripts/run_benchmarks.py, scripts/vlselect/core/__init__.py, results/a/models/base
    log: results/a/logs/run.log
    jobid: 12
[Sat Nov 21 23:59:55 2026]
Finished jobid: 4 (Rule: score_el2n)
[Sun Nov 22 00:00:12 2026]
Finished jobid: 12 (Rule: run_benchmarks)
[Sun Nov 22 00:00:15 2026]
rule run_benchmarks:
    input: scripts/run_benchmarks.py, scripts/vlselect/core/__init__.py, results/a/models/base
    log: results/a/logs/run.log
    jobid: 13
[Sun Nov 22 00:00:20 2026]
Finished jobid: 13 (Rule: run_benchmarks)
[Sun Nov 22 00:00:20 2026]
localrule all:
    input: results/a/scores/el2n.parquet
    jobid: 0
[Sun Nov 22 00:00:20 2026]
Finished jobid: 0 (Rule: all)
"""


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import overhead

    return overhead


@pytest.fixture
def finished(tmp_path):
    """Results of a run with LOG as Snakemake's log."""
    results = tmp_path / "results/a"
    for folder in (tmp_path / ".snakemake/log", results / "logs", results / "costs"):
        folder.mkdir(parents=True)
    (tmp_path / ".snakemake/log/1.log").write_text(LOG + "4 of 4 steps (100%) done\n")
    (tmp_path / ".snakemake/log/2.log").write_text("Building DAG of jobs...\n")
    (results / "logs/el2n.log").write_text("23:59:51 INFO vlselect.core.store: 9 rows\n")
    loaded = "INFO vlselect.models.loading: loaded results/a/models/base (7 parameters) on cpu\n"
    (results / "logs/run.log").write_text(f"00:00:03 INFO __main__: go\n00:00:18 {loaded}")
    (results / "costs/el2n.jsonl").write_text(json.dumps({"s": 4.5}) + "\n")
    return results


def test_a_run_is_read(harness, finished):
    run = harness.read_run(finished)
    score, first, second = run.jobs
    assert (
        score.modules == ("score_samples", "vlselect.methods.baselines.el2n")
        and score.model is None
    )
    assert score.seconds == 4.5 and score.benchmarked and score.seen != score.seen
    assert first.modules == ("run_benchmarks",)
    assert first.model == ("loading", "results/a/models/base")
    assert (first.seconds, first.seen) == (20, 26)  # of two jobs with one log, past midnight
    assert (second.seconds, second.seen) == (5, 3)
    assert (run.idle, run.lag) == (3, 0.5)
    assert run.scripts == finished.parents[1] / "scripts"


def test_shares_are_sums_over_jobs(harness, finished):
    run = harness.read_run(finished)
    starts = {
        harness.start_of(run.jobs[0]): {"start": 0.1, "imports": 1.0, "load": 0.0},
        harness.start_of(run.jobs[1]): {"start": 0.5, "imports": 6.0, "load": 1.0},
    }
    pace = (26 + 3) / (2 * 7.5)
    assert harness.pace(run, starts) == pytest.approx(pace)
    rows = {row["rule"]: row for row in harness.tabulate(run, starts, planning=2.0, cores=2)}
    benchmarks = rows["run_benchmarks"]
    assert (benchmarks["jobs"], benchmarks["seconds"], benchmarks["measured"]) == (2, 25, 15)
    assert benchmarks["imports"] == pytest.approx(12 * pace) and benchmarks["seen"] == 29
    assert benchmarks["share"] == pytest.approx(29 / 25)
    own = 2 * (2 * pace + 3) + 0.5
    assert rows["(snakemake)"]["seconds"] == pytest.approx(own)
    assert rows["(total)"]["jobs"] == 3
    total = (16.1 * pace + own) / (25 + 4.5 + own)
    assert rows["(total)"]["share"] == pytest.approx(total)


def test_a_run_that_did_not_end_is_refused(harness, finished):
    (finished.parents[1] / ".snakemake/log/1.log").write_text(LOG)
    with pytest.raises(ValueError, match="no log of Snakemake contains a complete run"):
        harness.read_run(finished)


def test_a_job_begins_with_its_model(harness, tiny_vlm, capsys):
    import begin_job

    begin_job.main(["run_benchmarks", "--load", "loading", str(tiny_vlm)])
    assert json.loads(capsys.readouterr().out)["load"] > 0
    with pytest.raises(FileNotFoundError, match="nowhere"):
        begin_job.main(["run_benchmarks", "--load", "clip", "nowhere"])


def test_a_real_run_is_measured_and_drawn(tmp_path):
    config = yaml.safe_load((ROOT / "configs/digits_reference.yaml").read_text())
    config["cached"] = True
    stand_in(tmp_path, config)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    results = tmp_path / "results" / config["run"]
    figures = [f"results/{config['run']}/figures/{rule[5:]}.png" for rule in RULES]
    succeeded(snakemake(tmp_path, path, "-c2", "--", *figures))
    large = ROOT / "configs/llava_665k_eight_cards.yaml"
    command = [warm_python(), HERE / "overhead.py", "--results", results, "--config", path]
    subprocess.run(
        [*command, "--large", large, "--rounds", "1", "--out", tmp_path],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT / 'tests/support'}"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert (tmp_path / "overhead.png").stat().st_size > 10_000
    with (tmp_path / "overhead.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["rule"]: row for row in csv.DictReader(file)}
    for rule in RULES:
        assert rows[rule]["jobs"] == "1" and rows[rule]["seen"] == ""
        assert float(rows[rule]["imports"]) > 0 and float(rows[rule]["start"]) > 0, rule
        assert float(rows[rule]["load"]) >= 0, rule
    parts = sum(float(rows["(total)"][part]) for part in ("start", "imports", "load"))
    share = float(rows["(total)"]["share"])
    assert share == pytest.approx(parts / float(rows["(total)"]["seconds"]), rel=0.01)
    assert int(rows["(dry run of llava_665k_eight_cards.yaml)"]["jobs"]) > 500
    assert int(rows["(dry run of config.yaml)"]["jobs"]) < 30  # drawn from tables that are there
