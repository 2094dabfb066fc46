"""Find a model's files: a local folder, or a snapshot in the hub's cache. No heavy imports."""

import os
from collections.abc import Mapping
from pathlib import Path

WEIGHTS = ("*.safetensors", "*.bin")


def model_folder(model: Mapping) -> Path:
    """Return the folder of a model's config entry, whether it exists or not."""
    if not model.get("revision"):
        return Path(model["path"])
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return cache / f"models--{model['path'].replace('/', '--')}/snapshots/{model['revision']}"


def has_weights(model: Mapping) -> bool:
    """Return whether a model can be loaded without a download."""
    folder = model_folder(model)
    return any(True for pattern in WEIGHTS for _ in folder.glob(pattern))


def weights_mb(model: Mapping) -> int:
    """Return the size of a model's weight files in MB; 0 where they are not on this machine."""
    folder = model_folder(model)
    for pattern in WEIGHTS:  # a folder with both has the weights twice
        if files := list(folder.glob(pattern)):
            return sum(file.stat().st_size for file in files) // 10**6
    return 0
