import json
import os
import stat
from functools import partial

import pytest
import torch
from config_defaults import finetune_settings
from usual_models import load_vlm

from vlselect.checkpoints.finetune import train
from vlselect.core.store import replacing_directory
from vlselect.models.checkpoint import load_checkpoint, save_checkpoint
from vlselect.pool import images
from vlselect.pool.samples import Samples

train = partial(train, max_pixels=10**7)

SHORT = {"max_steps": 2, "learning_rate": 1e-2, "batch_size": 4, "gradient_accumulation": 1}


@pytest.mark.parametrize(
    "settings",
    [
        finetune_settings(rank=4, alpha=8, **SHORT),
        finetune_settings(
            rank=4, alpha=8, train_modules=("multi_modal_projector", "lm_head"), **SHORT
        ),
        finetune_settings(rank=2, alpha=8, target_modules=("v_proj", "q_proj"), **SHORT),
        finetune_settings(adapter="none", freeze=("vision_tower",), **SHORT),
    ],
    ids=["lora", "lora and modules", "lora on named layers", "none"],
)
def test_a_checkpoint_read_back_gives_the_same_logits(settings, tiny_vlm, tiny_pool, tmp_path):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    samples = Samples(tiny_pool / "samples.parquet")
    pictures = tiny_pool / "images"
    encoded = [
        vlm.encode(record, [images.load(pictures, name, 10**6) for name in record.images])
        for record in samples.records(range(6))
    ]
    inputs = vlm.collate(encoded).inputs
    with torch.no_grad():
        before = vlm.model(**inputs).logits
    model = train(vlm, samples, range(8), pictures, settings, 0, tmp_path / "log.csv")
    with replacing_directory(tmp_path / "checkpoint") as directory:
        save_checkpoint(model, directory)
    loaded = load_checkpoint(load_vlm(str(tiny_vlm), device="cpu"), tmp_path / "checkpoint")
    with torch.no_grad():
        trained, read = model(**inputs).logits, loaded.model(**inputs).logits
    assert torch.equal(trained, read)
    assert not torch.allclose(trained, before, atol=1e-3)
    assert not loaded.model.training
    suffixes = {path.suffix for path in (tmp_path / "checkpoint").iterdir()}
    assert suffixes <= {".json", ".safetensors"}


def test_two_savings_are_the_same_bytes(tiny_vlm, tiny_pool, tmp_path):
    samples = Samples(tiny_pool / "samples.parquet")
    settings = finetune_settings(rank=2, alpha=8, train_modules=("multi_modal_projector",), **SHORT)
    for folder in ("one", "two"):
        vlm = load_vlm(str(tiny_vlm), device="cpu")
        model = train(
            *(vlm, samples, range(8), tiny_pool / "images", settings, 0, tmp_path / "log.csv")
        )
        with replacing_directory(tmp_path / folder) as directory:
            save_checkpoint(model, directory)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_the_saved_config_keeps_the_cache_on(tiny_vlm, tiny_pool, tmp_path):
    """The Trainer turns use_cache off, which would slow down every later generation."""
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    samples = Samples(tiny_pool / "samples.parquet")
    settings = finetune_settings(adapter="none", **SHORT)
    model = train(vlm, samples, range(4), tiny_pool / "images", settings, 0, tmp_path / "log.csv")
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()).get("use_cache", True)


def test_a_directory_is_replaced_whole(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with replacing_directory(tmp_path / "out") as directory:
        (directory / "new").touch()
        assert (tmp_path / "out/old").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "new"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_have_the_permissions_of_the_umask(umask, mode, tiny_vlm, tmp_path):
    model = load_vlm(tiny_vlm).model
    before = os.umask(umask)
    try:
        with replacing_directory(tmp_path / "checkpoint") as directory:
            save_checkpoint(model, directory)
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "checkpoint").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {mode}
    assert {path.suffix for path in files} >= {".safetensors", ".json"}


def test_an_error_leaves_the_old_directory(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError), replacing_directory(tmp_path / "out") as directory:
        (directory / "half").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_a_folder_without_a_checkpoint_is_named(tiny_vlm, tmp_path):
    with pytest.raises(FileNotFoundError, match="adapter_config.json"):
        load_checkpoint(load_vlm(str(tiny_vlm), device="cpu"), tmp_path)
