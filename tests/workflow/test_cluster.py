"""The whole of LLaVA-665K on the cluster's profile, with jobs faked: every one is submitted."""

import re
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
    command += ["--slurm-array-jobs", "all"]  # as an own profile may have it
    command += ["--drop-metadata", "--no-hooks", "--quiet", "rules", "host"]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False
    )
    steps = re.findall(r"(\d+) of (\d+) steps \(", done.stderr)
    assert done.returncode == 0 and steps[-1][0] == steps[-1][1], steps[-1:]
    assert int(steps[-1][0]) > 1000
