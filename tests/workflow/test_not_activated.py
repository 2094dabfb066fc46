"""The environment's snakemake runs jobs with its own Python, activated or not."""

import shutil
import subprocess
import sys

import yaml
from mini_input import make_input
from running import HERE, ROOT


def test_jobs_run_without_an_activated_environment(tmp_path):
    make_input(tmp_path)
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    bare = tmp_path / "bin"  # what a shell needs, and no Python
    bare.mkdir()
    for program in ("bash", "sh", "which"):
        (bare / program).symlink_to(shutil.which(program))
    target = "results/mini/pool/samples.parquet"
    command = [
        sys.executable,
        "-m",
        "snakemake",
        target,
        "--cores",
        "1",
        "--snakefile",
        ROOT / "Snakefile",
    ]
    command += ["--configfile", "config.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": str(bare)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / target).is_file()
