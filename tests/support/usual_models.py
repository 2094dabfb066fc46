"""Models as the workflow loads them: what a test leaves out has the config's default."""

import torch
from config_defaults import SCHEMA

from vlselect.models import loading, lora, vlm

_KEYS = SCHEMA["properties"]["models"]["additionalProperties"]["properties"]
MODEL = {key: value["default"] for key, value in _KEYS.items() if "default" in value}
del MODEL["tf32"]  # of the process (loading.prepare_device)
ADAPTER = {"dropout": 0.0, "target_modules": None, "modules_to_save": ()}


def load_vlm(path: str, **options):
    """Load a model, see `loading.load_vlm`."""
    return loading.load_vlm(path, **(MODEL | options))


def make_vlm(model, processor, path: str) -> vlm.VLM:
    """Join a model and a processor that are loaded already."""
    usual = {key: MODEL[key] for key in ("batch_size", "batch_tokens", "max_length", "workers")}
    return vlm.VLM(model, processor, path=path, revision="", **usual)


def attach_lora(model, **options):
    """Attach an adapter, by default to every linear layer and without dropout."""
    return lora.attach_lora(model, **(ADAPTER | options))


def save_adapter(path, folder, seed=0, **options):
    """Save an adapter of the model at `path` whose B is not zero; return its folder."""
    vlm = load_vlm(str(path), device="cpu")
    model = attach_lora(vlm.model, rank=2, alpha=4, seed=seed, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    model.save_pretrained(folder)
    return folder
