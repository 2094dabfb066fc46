"""Jobs of a local run on a machine with two GPUs, which are faked: each has one to itself."""

import itertools
import re

import pytest
import yaml
from mini_input import make_input
from running import HERE, jobs, snakemake, succeeded

FAKED = '''
"""Two GPUs, and a model pass that only notes which one it had, and when."""

import os
import sys
import time
from pathlib import Path

glob = Path.glob


def two_gpus(folder, pattern):
    found = [Path("/dev/nvidia0"), Path("/dev/nvidia1")] if pattern.startswith("nvidia") else []
    return iter(found) if str(folder) == "/dev" else glob(folder, pattern)


Path.glob = two_gpus
script, arguments = sys.orig_argv[1:2], sys.orig_argv[2:]
if script and script[0].endswith("extract_attention.py"):
    begin = time.monotonic()
    time.sleep(1)
    line = f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {begin} {time.monotonic()}\\n"
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(line)
    Path(arguments[arguments.index("--attended") + 1]).touch()
    os._exit(0)
'''


@pytest.mark.parametrize(("device", "flags"), [("cuda", ()), ("auto", ("--no-hooks",))])
def test_two_gpus_are_used_and_none_is_shared(device, flags, tmp_path):
    make_input(tmp_path)
    (tmp_path / "sitecustomize.py").write_text(FAKED)
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    config["pool"]["shards"] = 4
    config["models"]["target"]["device"] = device
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    names = [
        f"results/mini/features/target/attended/shard-{i}-of-4.safetensors" for i in range(1, 5)
    ]
    faked = {"PYTHONPATH": str(tmp_path), "NOTES": str(tmp_path / "notes"), "TMPDIR": str(tmp_path)}
    arguments = (tmp_path, tmp_path / "config.yaml", "--cores", "4", *flags, "--", *names)
    succeeded(snakemake(*arguments, **faked))
    rows = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    assert len(rows) == 4 and {gpu for gpu, *_ in rows} == {"0", "1"}
    times = [(gpu, float(begin), float(end)) for gpu, begin, end in rows]
    at_once = [
        (a[0], b[0])
        for a, b in itertools.combinations(times, 2)
        if max(a[1], b[1]) < min(a[2], b[2])
    ]
    assert at_once and all(a != b for a, b in at_once)


@pytest.mark.parametrize("flag", ["--resources=gpu=1", "--set-resources=finetune_model:gpu=1"])
def test_a_training_with_fewer_gpus_than_processes_ends_a_run(flag, tmp_path):
    make_input(tmp_path)
    (tmp_path / "sitecustomize.py").write_text(FAKED)
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    config["finetune"] |= {"processes": 2, "gradient_accumulation": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    target = "results/mini/checkpoints/target/random/ratio-0.2_seed-0"
    arguments = (tmp_path, tmp_path / "config.yaml", "--cores", "4", flag)
    faked = {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = snakemake(*arguments, "--", target, **faked)
    assert done.returncode != 0 and not jobs(done.stdout)
    said = "finetune_model: they take 2 GPU.* leaves a job 1"
    assert re.search(said, done.stdout), done.stdout
    planned = succeeded(snakemake(*arguments, "-n", "--", target, **faked))
    assert re.search("WARNING: " + said, planned)
