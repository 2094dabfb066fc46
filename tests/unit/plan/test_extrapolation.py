"""Costs of two trials, extrapolated: exact where they follow the law, level where it is noise."""

import json
import math

import pytest

from vlselect.plan.extrapolation import Estimate, extrapolate, line, measure
from vlselect.plan.jobs import Job, read_jobs

DRY_RUN = """Building DAG of jobs...
Job stats:
job      count
rule extract_features:
    input: scripts/extract_features.py, results/x/pool/samples.parquet
    output: results/x/features/m/last_token/shard-1-of-4.safetensors, b/shard-1-of-4.safetensors
    log: results/x/logs/extract_features/m/1-of-4.log
    jobid: 5
    benchmark: results/x/costs/extract_features/m/1-of-4.jsonl
    wildcards: model=m, scatteritem=1-of-4
    resources: tmpdir=/tmp, runtime=480, gpu=1, workers=0, mem_mb=16000, mem=16 GB
[Sat Nov 28 11:13:03 2026]
localrule find_neighbours:
    input: results/x/pool/samples.parquet
    output: results/x/neighbours.parquet
    resources: tmpdir=/tmp, growth=2
rule run_benchmarks:
    input: results/x/tasks/a/test.parquet, results/x/checkpoints/c
    output: results/x/benchmarks/c/a.json
rule run_benchmarks:
    input: results/x/tasks/a/test.parquet, results/x/checkpoints/d
    output: results/x/benchmarks/d/a.json
rule answer_by_majority:
    input: results/x/pool/samples.parquet, results/x/tasks/a/test.parquet
    output: results/x/benchmarks/majority/a.json
rule prepare_task:
    input: results/x/raw/tasks/a/test.json
    output: results/x/tasks/a/test.parquet
rule make_digits:
    output: results/x/raw/tasks/a/test.json
rule all:
    input: results/x/neighbours.parquet
"""


def test_a_dry_run_is_read():
    jobs = read_jobs(DRY_RUN)
    assert {rule: len(found) for rule, found in jobs.items()} == {
        **dict.fromkeys(("extract_features", "find_neighbours", "answer_by_majority"), 1),
        "run_benchmarks": 2,
        "prepare_task": 1,
        "make_digits": 1,
    }
    (features,), (neighbours,) = jobs["extract_features"], jobs["find_neighbours"]
    assert (features.gpu, features.growth) == (1, 1) and neighbours.growth == 2
    assert features.benchmark == ["results/x/costs/extract_features/m/1-of-4.jsonl"]
    sizes = {rule: found[0].size(pool=0.1, tasks=0.7) for rule, found in jobs.items()}
    assert sizes == {
        "extract_features": 0.1 / 4,
        "find_neighbours": 0.1,
        "answer_by_majority": 0.1,
        "run_benchmarks": 0.7,
        "prepare_task": 0.7,
        "make_digits": 0.1,
    }


@pytest.mark.parametrize("growth", [1, 2])
def test_a_law_is_recovered_exactly(growth):
    def law(x):
        return 3 + 500 * x**growth

    fixed, slope = line((0.01, law(0.01)), (0.04, law(0.04)), growth, noise=0.01)
    assert math.isclose(fixed, 3) and math.isclose(slope, 500)


def test_noise_is_not_extrapolated_and_nothing_falls():
    assert line((0.01, 100), (0.04, 103), noise=0.05) == (101.5, 0)
    assert line((0.01, 100), (0.04, 80)) == (90, 0)
    assert line((1, 7), (1, 9)) == (9, 0)  # two trials of the whole pool
    assert line((0.01, 100), (0.04, 106), noise=0.05)[1] == pytest.approx(200)


@pytest.mark.parametrize("growth", [1, 2])
def test_a_whole_run_is_predicted_from_its_parts(growth, tmp_path, monkeypatch):
    """Trials in one shard, a run in four, and a rule of which the run has more jobs."""
    monkeypatch.chdir(tmp_path)

    def jobs(share, shards, n):
        made = []
        for i in range(n):
            names = f"{share}-{i}", f"f/{share}/{i}/shard-{i + 1}-of-{shards}.bin"
            job = Job(output=[names[1]], benchmark=[f"{names[0]}.jsonl"], growth=growth)
            part = share / shards
            cost = {"s": 5 + 800 * part**growth, "cpu_time": 1, "max_rss": 100 + 300 * part}
            (tmp_path / job.benchmark[0]).write_text(json.dumps(cost))
            (tmp_path / names[1]).parent.mkdir(parents=True)
            (tmp_path / names[1]).write_bytes(bytes(40 + round(4000 * part)))
            made.append(job)
        return made

    small, large = (measure(jobs(share, 1, 2), share, 1.0) for share in (0.125, 0.5))
    assert small.size == 0.125 and large.disk == 40 + 2000
    whole = jobs(1.0, 4, 4)
    cost, grows = extrapolate(small, large, whole)
    assert grows and math.isclose(cost.seconds, 4 * (5 + 800 * 0.25**growth))
    assert math.isclose(cost.disk, 4 * (40 + 1000)) and math.isclose(cost.memory, 175e6)


def test_what_was_not_measured_is_not_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    (tmp_path / "made/file").write_bytes(bytes(10))
    found = measure([Job(output=["made"], benchmark=["none.jsonl"])], 0.5, 1.0)
    assert math.isnan(found.seconds) and math.isnan(found.memory) and found.disk == 10
    cost, grows = extrapolate(Estimate(size=0.1, disk=10), found, [Job()])
    assert math.isnan(cost.seconds) and cost.disk == 10 and not grows
