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


AHEAD = {"extract_features", "extract_attention", "collect_gradients", "run_benchmarks"}
TRAINING = {"warm_up", "finetune_model"}  # whose batches are those of their settings


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
        trains = re.search(r"(\w+)\.py", command)[1] in TRAINING
        for key, value in GIVEN.items():
            if trains and key.startswith("batch_"):
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
    assert {re.search(r"(\w+)\.py", line)[1] for line in helped} == AHEAD
    texts = [text for text in output.split("\n\n") if "workers=3" in text]
    assert len(texts) >= len(helped) and all("threads: 4" in text for text in texts)
    assert "--workers" not in "".join(re.findall(r"    params: .*", output))
