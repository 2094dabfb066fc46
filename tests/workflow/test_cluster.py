"""The whole of LLaVA-665K on the cluster's profile, with jobs faked: every one is submitted."""

import subprocess
import sys

import yaml
from running import ROOT, stand_in

CONFIG = ROOT / "configs/llava_665k.yaml"


def test_every_job_of_the_largest_config_is_submitted(tmp_path):
    stand_in(tmp_path, yaml.safe_load(CONFIG.read_text()))
    command = [sys.executable, ROOT / "tests/support/faked_slurm.py", "all"]
    command += ["--snakefile", ROOT / "Snakefile", "--configfile", CONFIG]
    command += ["--workflow-profile", ROOT / "profiles/slurm", "--directory", tmp_path]
    command += ["--latency-wait", "0", "--scheduler", "greedy"]  # for speed, as are the next
    command += ["--drop-metadata", "--no-hooks", "--quiet", "rules", "host"]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False
    )
    last = [line for line in done.stderr.splitlines() if " steps (" in line][-1].split()
    assert done.returncode == 0 and last[0] == last[2] and int(last[0]) > 1000, last
