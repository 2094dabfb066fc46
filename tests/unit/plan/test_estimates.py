"""Estimates for a device: proportional to what is trained, and to what a card can do."""

from dataclasses import replace

import pytest
import torch
from running import ROOT
from transformers import LlavaConfig, LlavaForConditionalGeneration

from vlselect.config.yaml_files import read_yaml
from vlselect.core.errors import InputError
from vlselect.plan.estimates import Setting, estimate, known_shape, read_device
from vlselect.plan.extrapolation import NONE
from vlselect.plan.jobs import Job
from vlselect.plan.shapes import shape_of

KNOWN = read_yaml(ROOT / "configs/devices.yaml")
LLAVA = "llava-hf/llava-1.5-7b-hf"
FINETUNE = {"rank": 128, "batch_size": 16, "gradient_checkpointing": True, "epochs": 1}
CONFIG = {
    "models": {"target": {"path": LLAVA, "batch_size": 16, "batch_tokens": None}},
    "finetune": FINETUNE,
    "gradients": {
        "representation": "lora",
        "warm_up": {"fraction": 0.05, "finetune": FINETUNE},
        "projection": {"type": "shifted", "dim": 5120},
        "store": "projected",
        "span": 1024,
    },
    "tasks": {"a": {"build": {"validation": 100}}, "b": {"test": "x.json"}},
}


@pytest.fixture
def setting():
    shape = known_shape(KNOWN["models"][LLAVA], KNOWN["assumed"])
    device = read_device(KNOWN, "a100-80g")
    return Setting(CONFIG, {"target": shape}, device, KNOWN["assumed"], 1000)


def checkpoint(budget):
    return Job(output=[f"results/r/checkpoints/target/random/{budget}_seed-0"])


def test_the_table_has_the_sizes_that_are_counted(setting):
    """The published model has 64 more rows of embeddings than transformers' default."""
    with torch.device("meta"):
        counted = shape_of(LlavaForConditionalGeneration(LlavaConfig()))
    more = 64 * counted.hidden
    assert setting.shapes["target"][0] == replace(
        counted, weights=counted.weights + 2 * more, head=counted.head + more
    )


def test_a_training_takes_what_its_budget_and_the_card_say(setting):
    whole = estimate("finetune_model", [checkpoint("ratio-1.0")], setting)
    fifth = [checkpoint("ratio-0.2"), checkpoint("samples-200"), checkpoint("tokens-152000")]
    for job in fifth:
        assert estimate("finetune_model", [job], setting).seconds == pytest.approx(
            whole.seconds / 5
        )
    assert whole.disk == 4 * 319_815_680
    other = replace(setting, device=read_device(KNOWN, "h100-80g"))
    seconds = estimate("finetune_model", [checkpoint("ratio-1.0")], other).seconds
    assert seconds == pytest.approx(whole.seconds * 312 / 989)


def test_shards_sum_to_the_pool_and_gradients_have_their_bytes(setting):
    folder, pool = "results/r/gradients/target/seed-0", ["results/r/pool/samples.parquet"]
    parts = [Job(pool, [f"{folder}/pool/shard-{i}-of-4.safetensors"]) for i in range(1, 5)]
    whole = [Job(pool, [f"{folder}/pool/shard-1-of-1.safetensors"])]
    found = [estimate("collect_gradients", jobs, setting) for jobs in (parts, whole)]
    assert found[0].seconds == pytest.approx(found[1].seconds)
    assert found[0].disk == pytest.approx(1000 * 2 * 5120)
    config = CONFIG | {"gradients": CONFIG["gradients"] | {"store": "influence"}}
    small = estimate("collect_gradients", whole, replace(setting, config=config))
    assert small.disk == pytest.approx(1000 * 2 * 500)  # as many as there are validation samples
    validation = [Job([], [f"{folder}/a/shard-1-of-1.safetensors"])]
    some = estimate("collect_validation_gradients", validation, setting)
    assert some.seconds == pytest.approx(found[1].seconds * (100 + 400) / 1000)


def test_a_proxy_is_of_its_own_section_and_needs_forward_passes_alone(setting):
    proxy = {"representation": "hidden", "warm_up": {"fraction": 1.0, "finetune": FINETUNE}}
    own = replace(setting, config=CONFIG | {"proxy": proxy})
    seconds = [
        estimate("warm_up", [Job([], [f"results/r/{section}/target/seed-0/warm_up"])], own).seconds
        for section in ("gradients", "proxy")
    ]
    assert seconds[1] == pytest.approx(seconds[0] / 0.05)
    job = [Job([], ["results/r/proxy/target/seed-0/pool/shard-1-of-1.safetensors"])]
    passed = estimate("collect_gradients", job, own)
    features = [Job([], ["results/r/features/target/last_token/shard-1-of-1.safetensors"])]
    assert passed.seconds == estimate("extract_features", features, own).seconds
    assert passed.disk == 1000 * 2 * setting.shapes["target"][0].hidden
    output = replace(own, config=CONFIG | {"proxy": proxy | {"representation": "output"}})
    assert estimate("collect_gradients", job, output).disk == 1000 * 2 * 128 * 64
    alike = [Job([], ["results/proxy/gradients/target/seed-0/warm_up"])]  # a run of that name
    assert estimate("warm_up", alike, own).seconds == pytest.approx(seconds[0])


def test_automatic_batches_stay_within_the_card_and_dense_projections_hold_more(setting):
    job = [Job([], ["results/r/gradients/target/seed-0/pool/shard-1-of-1.safetensors"])]
    shifted = estimate("collect_gradients", job, setting).memory
    config = CONFIG | {
        "gradients": CONFIG["gradients"] | {"projection": {"type": "rademacher", "dim": 5120}}
    }
    dense = estimate("collect_gradients", job, replace(setting, config=config))
    assert dense.memory - shifted == pytest.approx(16 * 4 * 319_815_680)
    target = CONFIG["models"]["target"] | {"batch_tokens": "auto"}
    config = config | {"models": {"target": target}}
    assert estimate("collect_gradients", job, replace(setting, config=config)).memory == 64e9


def test_other_rules_and_devices_are_not_known(setting):
    assert estimate("select_icons", [Job()], setting).seconds is NONE
    with pytest.raises(InputError, match="no device 'h100'.*h100-80g"):
        read_device(KNOWN, "h100")
    with pytest.raises(InputError, match="no file of x"):
        estimate("extract_features", [Job(output=["x"])], setting)
