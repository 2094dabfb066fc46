"""profiles/slurm on a real Slurm: jobs cancelled, out of memory, killed and resumed; same bytes.

Run by `make test-slurm`, which starts Slurm (start_slurm.sh); SLURM_STATE names its folder.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from mini_input import make_input
from running import ROOT, snakemake, succeeded

HERE = Path(__file__).parent
STATE = os.environ.get("SLURM_STATE", "")
SUBSETS = [f"subsets/{m}/ratio-0.2_seed-0.json" for m in ("icons", "scalselect")]
MODEL_RULES = ("extract_attention", "warm_up", "collect_gradients")
CLUSTER = [  # what this one small machine needs beside profiles/slurm
    *("--jobs", "8", "--max-threads", "1", "--latency-wait", "5"),
    *("--default-resources", "slurm_partition=main"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2", "--slurm-keep-successful-logs"),
    "--set-resources",
    *(f"{rule}:gpu=1" for rule in MODEL_RULES),
    *(f"{rule}:gpu_model=pretend" for rule in MODEL_RULES),
    *(f"{rule}:mem_mb=4000" for rule in MODEL_RULES if rule != "extract_attention"),
    "extract_attention:mem_mb=250*8**(attempt-1)",  # too little at the first attempt
    "collect_validation_gradients:mem_mb=4000",
]

pytestmark = pytest.mark.skipif(not STATE, reason="needs Slurm: make test-slurm starts one")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Input of the run."""
    folder = tmp_path_factory.mktemp("cluster")
    make_input(folder)
    return folder


@pytest.fixture(scope="module")
def local(folder, tmp_path_factory) -> dict[str, bytes]:
    """The subsets as a local run makes them."""
    here = tmp_path_factory.mktemp("local")
    shutil.copytree(folder / "data", here / "data")
    succeeded(snakemake(here, HERE / "selection.yaml", "--cores", "2", "subsets"))
    return {path: (here / "results/mini" / path).read_bytes() for path in SUBSETS}


@pytest.fixture(scope="module")
def outputs(folder) -> list[str]:
    """What a run printed that was disturbed and killed, and the one that went on from there."""
    first = start(folder, "first.txt")
    cancelled = wait_for(lambda: running("prepare_pool"), first)
    subprocess.run(["scancel", cancelled], check=True)
    wait_for(lambda: running("warm_up"), first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    stop_jobs()
    here = ["--snakefile", ROOT / "Snakefile", "--directory", folder]
    unlock = [sys.executable, "-m", "snakemake", "--unlock", *here]
    subprocess.run([*unlock, "--configfile", HERE / "selection.yaml"], check=True)
    second = start(folder, "second.txt")
    assert second.wait(timeout=600) == 0, (folder / "second.txt").read_text()[-6000:]
    return [(folder / name).read_text() for name in ("first.txt", "second.txt")]


def start(
    folder: Path,
    name: str,
    *flags: str,
    targets=("subsets",),
    config: Path = HERE / "selection.yaml",
) -> subprocess.Popen:
    """Start Snakemake with the cluster's profile; what it prints goes to a file."""
    command = [sys.executable, "-m", "snakemake", *targets, "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--workflow-profile", ROOT / "profiles/slurm"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        [*map(str, command), *CLUSTER, *flags, "--configfile", str(config)],
        stdout=(folder / name).open("w"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1"},
    )


def wait_for(condition, process: subprocess.Popen, seconds: float = 300):
    """Return the condition's first true value, while Snakemake runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError("Snakemake ended, or nothing happened in time")


def running(rule: str) -> str:
    """Id of a running job of a rule, by the comment that the plugin gives it."""
    rows = subprocess.check_output(["squeue", "-h", "-t", "R", "-o", "%i %k"], text=True)
    return next((row.split()[0] for row in rows.splitlines() if f"rule_{rule}" in row), "")


def stop_jobs() -> None:
    """Cancel all jobs and wait until they are gone."""
    subprocess.run(["scancel", "--user", "root"], check=True)
    while subprocess.check_output(["squeue", "-h", "-t", "R,CG,PD"], text=True).strip():
        time.sleep(0.3)


def finished() -> list[dict[str, str]]:
    """Slurm's own record of every finished job."""
    lines = (Path(STATE) / "finished_jobs.txt").read_text().splitlines()
    return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]


def test_subsets_are_those_of_a_local_run(folder, local, outputs):
    for path in SUBSETS:
        assert (folder / "results/mini" / path).read_bytes() == local[path], path


def test_jobs_went_through_sbatch(outputs):
    submitted = re.findall(r"SLURM jobid '?(\d+)", "".join(outputs))
    assert len(set(submitted)) >= 8
    states = {job["JobState"] for job in finished()}
    assert "COMPLETED" in states


def test_a_cancelled_job_was_submitted_again(outputs):
    assert any(job["JobState"] == "CANCELLED" for job in finished())
    assert "Slurm's word for its end: CANCELLED" in outputs[0]
    assert "Trying to restart job" in outputs[0]


def test_a_job_over_its_memory_was_submitted_with_more(folder, outputs):
    assert "Trying to restart job" in outputs[1]
    assert "--set-resources extract_attention:mem_mb=<MB> asks for more" in outputs[1]
    log = max((folder / ".snakemake/log").glob("*.log"), key=lambda path: path.name)
    asked = re.findall(r"rule extract_attention:.*?mem_mb=(\d+)", log.read_text(), re.DOTALL)
    assert {"250", "2000"} <= set(asked)


def test_gpu_rules_saw_a_gpu_and_others_none(folder, outputs):
    logs = folder / "results/mini/logs"
    for rule in MODEL_RULES:
        texts = [path.read_text() for path in (logs / rule).rglob("*.log")]
        texts += [path.read_text() for path in logs.glob(f"{rule}.log")]
        assert texts and all(re.search(r"GPUs: \d", text) for text in texts), rule
    assert "GPUs: none" in (logs / "prepare_pool.log").read_text()


def test_more_shards_than_jobs_are_all_submitted(tmp_path):
    make_input(tmp_path)
    config = yaml.safe_load((HERE / "selection.yaml").read_text())
    config["pool"]["shards"] = 6
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    shards = [f"results/mini/features/target/checked/shard-{i}-of-6.parquet" for i in range(1, 7)]
    flags = ["--slurm-array-jobs", "check_samples", "--jobs", "2"]  # as an own profile may have it
    process = start(tmp_path, "printed.txt", *flags, targets=shards, config=path)
    assert process.wait(timeout=900) == 0, (tmp_path / "printed.txt").read_text()[-6000:]
    assert all((tmp_path / shard).is_file() for shard in shards)
