"""SIGTERM and the end of its Snakemake end a script like an error: no half-written files."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vlselect.core.sources import SCRIPTS

PROGRAM = """
import time
from pathlib import Path
from vlselect.core import log, store
log.start()
with store.replacing(Path("out.txt")) as path:
    path.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_terminated_script_leaves_nothing_behind(tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout.readline() == "writing\n"
    assert [path.name for path in tmp_path.iterdir()] != []
    running.terminate()
    _, said = running.communicate()
    assert running.returncode == 128 + signal.SIGTERM
    assert said.endswith("vlselect.core.log: terminated\n")
    assert list(tmp_path.iterdir()) == []


# Snakemake's part: it names itself, and starts a job by a shell that becomes the job.
SNAKEMAKE = """
import os, subprocess, sys, time
from vlselect.core import log
log.name_snakemake()
job = subprocess.Popen([sys.executable, "-c", os.environ["PROGRAM"]], stdout=subprocess.PIPE)
print(job.pid, job.stdout.readline().decode().strip(), flush=True)
time.sleep(60)
"""


def running(pid):
    """Return whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start(tmp_path, program):
    """Start the program as a job of a Snakemake; return that, and the job's process id."""
    run = subprocess.Popen(
        [sys.executable, "-c", SNAKEMAKE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SCRIPTS), "PROGRAM": program},
        stdout=subprocess.PIPE,
        text=True,
    )
    return run, int(run.stdout.readline().split()[0])


def ends(pid, seconds=20):
    """Return whether a process ends in time."""
    until = time.monotonic() + seconds
    while running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not running(pid)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_a_job_ends_when_its_snakemake_was_killed(tmp_path):
    run, job = start(tmp_path, PROGRAM)
    assert running(job) and list(tmp_path.iterdir()) != []
    run.kill()
    run.wait()
    assert ends(job) and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_a_job_that_begins_when_its_snakemake_is_gone_ends_at_once(tmp_path):
    late = f"import time\nprint('early', flush=True)\ntime.sleep(2)\n{PROGRAM}"
    run, job = start(tmp_path, late)
    run.kill()
    run.wait()
    assert ends(job) and list(tmp_path.iterdir()) == []


def test_a_script_whose_environment_names_another_process_goes_on(tmp_path):
    """In a container process ids are others."""
    short = PROGRAM.replace("sleep(60)", "sleep(1)")
    for named in ("1 pid:[1]", "999999999 pid:[1]"):
        environment = {"PYTHONPATH": str(SCRIPTS), "VLSELECT_SNAKEMAKE": named}
        subprocess.run([sys.executable, "-c", short], cwd=tmp_path, env=environment, check=True)
