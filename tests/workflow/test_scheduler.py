"""The limit on submissions: Snakemake's default is removed, a requested one holds."""

import subprocess
import sys

import pytest
from running import ROOT

SNAKEFILE = f"""
include: "{ROOT}/rules/scheduler.smk"

rule all:
    input:
        expand("{{i}}", i=range(3)),

rule one:
    output:
        "{{i}}",
    shell:
        "touch {{output}}"

onsuccess:
    limiter = workflow.scheduler.job_rate_limiter
    print("limit:", limiter and limiter.max_jobs)
"""


@pytest.mark.parametrize(
    ("options", "limit"),
    [([], "None"), (["--max-jobs-per-timespan", "50/1s"], "50")],
)
def test_only_a_limit_that_was_asked_for_holds(tmp_path, options, limit):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"limit: {limit}" in (done.stdout + done.stderr).splitlines()
    assert all((tmp_path / str(i)).is_file() for i in range(3))
