"""Jobs ask for memory by process, and by the size of a model that the CPU holds."""

import os
import re

import pytest
import yaml
from running import HERE, snakemake, stand_in, succeeded

EXPECTED = {  # by device and MB of weights, in bfloat16; of one process: 24,000, for a small model
    # less, or 8,000 beside weights that are in the machine's memory
    ("cuda", 30_000): {"extract_attention": 16_000, "collect_gradients": 24_000, "warm_up": 48_000},
    ("cpu", 30_000): {
        "extract_attention": 38_000,
        "collect_gradients": 38_000,
        "warm_up": 4 * 38_000,
    },
    ("cpu", 10): {"extract_attention": 8640, "collect_gradients": 8640, "warm_up": 8640 + 3 * 8010},
}


@pytest.mark.parametrize(("device", "size"), EXPECTED)
def test_memory_follows_processes_and_weights(device, size, tmp_path):
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    config["models"]["target"] |= {"device": device, "dtype": "bfloat16"}
    for settings in (config["gradients"]["warm_up"]["finetune"], config["finetune"]):
        settings |= {"processes": 4, "gradient_accumulation": 4}
    stand_in(tmp_path, config)
    weights = tmp_path / "data/model/model.safetensors"
    weights.touch()
    os.truncate(weights, size * 10**6)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    flags = ("-n", "-p", "--", "subsets", "results/mini/checkpoints/target/full/ratio-1.0_seed-0")
    shown = succeeded(snakemake(tmp_path, tmp_path / "config.yaml", *flags))
    asked = dict(re.findall(r"^rule (\w+):$.*?mem_mb=(\d+)", shown, re.MULTILINE | re.DOTALL))
    expected = EXPECTED[device, size]
    expected = {**expected, "finetune_model": expected["warm_up"]}
    assert {rule: int(asked[rule]) for rule in expected} == expected
