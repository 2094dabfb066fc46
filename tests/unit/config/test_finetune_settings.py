"""Settings of a finetuning run: what the config check fills in, and what is refused."""

from dataclasses import fields

import pytest
from config_defaults import FINETUNE, SCHEMA, finetune_settings

from vlselect.config.finetune_settings import Settings


def test_a_config_section_becomes_settings():
    settings = finetune_settings(rank=8, freeze=["vision_tower"], betas=[0.9, 0.98])
    assert (settings.rank, settings.freeze, settings.betas) == (8, ("vision_tower",), (0.9, 0.98))


def test_the_schema_has_a_default_for_every_setting_and_is_their_only_home():
    assert set(FINETUNE) == {field.name for field in fields(Settings)}
    with pytest.raises(TypeError, match="missing"):
        Settings(rank=8)
    with pytest.raises(ValueError, match="missing finetune settings: adapter, alpha"):
        Settings.from_mapping({"rank": 8})


def test_every_section_of_settings_is_the_same():
    sections = (
        SCHEMA["properties"]["finetune"],
        SCHEMA["properties"]["gradients"]["properties"]["warm_up"]["properties"]["finetune"],
    )
    for section in sections:
        assert section["properties"] == SCHEMA["$defs"]["finetune"]["properties"]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"learning_rat": 1}, "unknown finetune settings: learning_rat"),
        ({"adapter": "dora"}, "finetune.adapter 'dora'"),
        ({"epochs": 0}, "finetune.epochs"),
        ({"learning_rate": -1e-4}, "finetune.learning_rate"),
        ({"warmup_ratio": 1}, "finetune.warmup_ratio"),
        ({"adapter": "none", "train_modules": ["lm_head"]}, "finetune.train_modules"),
        ({"processes": 0}, "finetune.processes 0"),
        ({"processes": 3, "gradient_accumulation": 8}, "finetune.processes 3 .* 8"),
    ],
)
def test_wrong_values_are_named(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        finetune_settings(**values)


@pytest.mark.parametrize(
    ("n_samples", "changes", "steps", "warmup"),
    [
        (6, {}, 1, 0),  # the only step has to train
        (9000, {"gradient_accumulation": 1, "epochs": 3, "warmup_ratio": 0.05}, 1689, 85),
        (130, {"epochs": 2, "warmup_ratio": 0.5}, 4, 2),
        (130, {"max_steps": 7, "warmup_ratio": 0}, 7, 0),
    ],
)
def test_some_step_always_has_a_learning_rate(n_samples, changes, steps, warmup):
    settings = finetune_settings(**changes)
    assert settings.steps(n_samples) == steps
    assert settings.warmup_steps(n_samples) == warmup < steps


@pytest.mark.parametrize("n_samples", [1, 16, 130, 9000])
def test_the_number_of_processes_changes_no_step(n_samples):
    alone, together = finetune_settings(), finetune_settings(processes=8)
    assert alone.steps(n_samples) == together.steps(n_samples)


def test_workers_share_the_memory_of_the_cache():
    assert finetune_settings(cache_mb=6).cache_bytes == 6 * 2**20
    assert finetune_settings(cache_mb=6, workers=3).cache_bytes == 2 * 2**20
