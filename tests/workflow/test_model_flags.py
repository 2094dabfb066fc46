"""The keys of a model's config entry reach the jobs that they decide, and no others."""

import re

import yaml
from running import HERE, snakemake, stand_in, succeeded

GIVEN = {
    "path": "data/model",
    "device": "cpu",
    "batch_size": 8,
    "batch_tokens": 900,
    "max_length": 300,
    "attention": "eager",
    "template_date": "2031-05-04",
}


CHECKS = {"check_samples", "check_tasks"}  # which only encode
ENCODING = {"path", "max_length", "template_date"}
AHEAD = {"extract_features", "extract_attention", "collect_gradients", "run_benchmarks"}
TRAINING = {"warm_up", "finetune_model"}  # whose batches are those of their settings


def script_of(command):
    """Return the script that a command runs, on GPUs that another takes for it."""
    return next(name for name in re.findall(r"(\w+)\.py", command) if name != "take_gpus")


def test_every_key_becomes_a_flag_and_those_left_out_do_not(tmp_path):
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    config["models"]["target"] = GIVEN
    stand_in(tmp_path, config)
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    output = succeeded(snakemake(tmp_path, path, "-n", "-p"))
    commands = [line for line in output.splitlines() if "--model data/model" in line]
    assert len(commands) > 10
    for command in commands:
        words = command.split()
        script = script_of(command)
        for key, value in GIVEN.items():
            batches = key.startswith("batch_") and script in TRAINING
            if batches or (script in CHECKS and key not in ENCODING):
                assert f"--{key.replace('_', '-')}" not in words
                continue
            flag = "--model" if key == "path" else "--" + key.replace("_", "-")
            assert words[words.index(flag) + 1] == str(value), command
        assert "--quantisation" not in words and "--revision" not in words


def test_workers_are_threads_of_the_job_and_rerun_nothing(tmp_path):
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    config["models"]["target"]["workers"] = 3
    stand_in(tmp_path, config)
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    output = succeeded(snakemake(tmp_path, path, "-n", "-p", "--cores", "8"))
    helped = [line for line in output.splitlines() if "--workers 3" in line]
    assert set(map(script_of, helped)) == AHEAD
    texts = [text for text in output.split("\n\n") if "workers=3" in text]
    assert len(texts) >= len(helped) and all("threads: 4" in text for text in texts)
    assert "--workers" not in "".join(re.findall(r"    params: .*", output))
