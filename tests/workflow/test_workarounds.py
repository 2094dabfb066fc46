"""Faults of Snakemake that rules/workarounds.smk goes round: each is still there, and is mended.

A test of a fault fails when Snakemake no longer has it: its workaround can then go.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import ROOT

INCLUDE = f'include: "{ROOT}/rules/workarounds.smk"\nonstart:\n    apply_at_start()\n'
JOBS = """
rule all:
    input:
        expand("{i}", i=range({NUMBER})),

rule one:
    output:
        "{i}",
    benchmark:
        "{i}.jsonl"
    shell:
        "sleep {SECONDS}; touch {output}"

LOOKS = []

onsuccess:
    limiter = workflow.scheduler.job_rate_limiter
    print("limit:", limiter and limiter.max_jobs)
    print("looks:", len(LOOKS))
"""
COUNT = """
onstart:
    again = workflow.scheduler._schedule_reevalutation
    workflow.scheduler._schedule_reevalutation = lambda s: (LOOKS.append(s), again(s))
"""
MEASURED = """
rule extract_features:
    output:
        "features",
    benchmark:
        "features.jsonl"
    {CACHE}
    shell:
        "echo once >> made; touch {output}"
"""


def run(folder, snakefile, *options, **environment):
    """Run a Snakefile on one core; its output is text, stderr in stdout."""
    (folder / "Snakefile").write_text(snakefile)
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def small_jobs(number, seconds):
    """Return a Snakefile of so many jobs, each of which sleeps so long."""
    return JOBS.replace("{NUMBER}", str(number)).replace("{SECONDS}", str(seconds))


def said(done, name):
    """Return what a run printed after a name."""
    assert done.returncode == 0, done.stdout
    (line,) = (x for x in done.stdout.splitlines() if x.startswith(f"{name}: "))
    return line.removeprefix(f"{name}: ")


def test_a_workflow_cannot_ask_for_extended_benchmarks_but_by_its_settings(tmp_path):
    for name, text, extended in (("plain", "", False), ("mended", INCLUDE, True)):
        (tmp_path / name).mkdir()
        assert run(tmp_path / name, text + small_jobs(1, 0)).returncode == 0
        found = json.loads((tmp_path / name / "0.jsonl").read_text())
        assert ("resources" in found) == extended


def test_snakemake_looks_at_waiting_jobs_more_and_more_often(tmp_path):
    done = run(tmp_path, small_jobs(8, 1.2) + COUNT)
    assert int(said(done, "looks")) > 2 * 8 and said(done, "limit") == "100"


@pytest.mark.parametrize(
    ("options", "limit"),
    [([], "None"), (["--max-jobs-per-timespan", "50/1s"], "50")],
)
def test_only_a_limit_that_was_asked_for_holds(tmp_path, options, limit):
    done = run(tmp_path, INCLUDE + small_jobs(3, 0), *options)
    assert said(done, "limit") == limit
    assert all((tmp_path / str(i)).is_file() for i in range(3))


@pytest.mark.parametrize("text", ["", INCLUDE], ids=["plain", "mended"])
def test_an_array_that_is_larger_than_the_number_of_jobs_is_never_submitted(tmp_path, text):
    (tmp_path / "Snakefile").write_text(text + small_jobs(6, 0))
    command = [sys.executable, ROOT / "tests/support/faked_slurm.py", "--executor", "slurm"]
    command += ["--jobs", "2", "--slurm-array-jobs", "one", "--latency-wait", "0"]
    with (tmp_path / "printed").open("w") as printed:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=printed, stderr=printed)
    try:
        returncode = process.wait(timeout=60 if text else 12)  # the mended one takes three
    except subprocess.TimeoutExpired:
        process.kill()
        returncode = None
    made = sum((tmp_path / str(i)).is_file() for i in range(6))
    assert (returncode, made) == ((0, 6) if text else (None, 0))
    assert ("slurm-array-jobs is ignored" in (tmp_path / "printed").read_text()) == bool(text)


def test_snakemake_refuses_to_cache_what_it_measures(tmp_path):
    (tmp_path / "cache").mkdir()
    cache = str(tmp_path / "cache")
    flags = ("--cache", "--", "features")
    done = run(
        tmp_path, MEASURED.replace("{CACHE}", "cache: True"), *flags, SNAKEMAKE_OUTPUT_CACHE=cache
    )
    assert done.returncode and "benchmark directive may not be marked as eligible" in done.stdout
    mended = MEASURED.replace("{CACHE}", "") + INCLUDE
    for _ in range(2):
        done = run(tmp_path, mended, *flags, SNAKEMAKE_OUTPUT_CACHE=cache)
        assert done.returncode == 0, done.stdout
        (tmp_path / "features").unlink()
    assert (tmp_path / "made").read_text() == "once\n"


TOGETHER = """
rule warm_up:
    output:
        directory("model"),
    cache: {CACHE}
    shell:
        "touch $MEETING/$RUN; until [ -e $MEETING/a -a -e $MEETING/b ]; do sleep 0.1; done;"
        " mkdir {output}; touch {output}/weights"
"""


@pytest.mark.parametrize("mended", [False, True], ids=["plain", "mended"])
def test_two_runs_that_fill_one_cache_at_once_put_a_folder_into_a_folder(tmp_path, mended):
    for name in ("a", "b", "cache", "meeting"):
        (tmp_path / name).mkdir()
    text = (
        TOGETHER.replace("{CACHE}", "True")
        if not mended
        else TOGETHER.replace("    cache: {CACHE}\n", "")
    )
    environment = {
        "SNAKEMAKE_OUTPUT_CACHE": str(tmp_path / "cache"),
        "MEETING": str(tmp_path / "meeting"),
    }
    flags = (*("--cache", "warm_up"), "--", "warm_up")

    def one(name):
        return run(
            tmp_path / name, text + (INCLUDE if mended else ""), *flags, RUN=name, **environment
        )

    with ThreadPoolExecutor(2) as both:
        ends = list(both.map(one, "ab"))
    assert [done.returncode for done in ends] == [0, 0], ends[0].stdout + ends[1].stdout
    (model,) = (tmp_path / "cache").iterdir()
    assert {path.name for path in model.iterdir()} >= {"weights"}
    assert any(path.is_dir() for path in model.iterdir()) == (not mended)
    for name in "ab":
        assert (tmp_path / name / "model/weights").is_file()
