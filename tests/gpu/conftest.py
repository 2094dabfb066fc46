"""The GPU that passes run on: a real one where there is one, else a pretended one.

On the pretended one (tests/support/pretended_gpu.py) values come from the CPU: what it finds are
tensors on the wrong device. `make test-gpu` insists on a real one.
"""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from pretended_gpu import pretended_gpu, without_it

from vlselect.features import clip
from vlselect.models import batching, checkpoint, loading, lora

REAL = torch.cuda.is_available()


class Room:
    """Stands for `batching.GPUMemory` where there is none: a byte a token, room for few."""

    def __init__(self, device):
        assert device.type == "cuda"

    def room(self):
        return 150

    def taken(self, run):
        run()
        return 50


@pytest.fixture
def on_gpu(monkeypatch):
    """A function that returns a context in which "cuda" is a device."""
    if REAL:
        return nullcontext

    @contextmanager
    def pretend():
        with monkeypatch.context() as patch, pretended_gpu():
            patch.setattr(torch.cuda, "is_available", lambda: True)
            patch.setattr(torch.cuda, "empty_cache", lambda: None)
            patch.setattr(batching, "GPUMemory", Room)
            for module in (loading, checkpoint, clip):
                load = module.load_pretrained

                def moved(*given, device, load=load, **options):
                    with without_it():
                        model = load(*given, device=torch.device("cpu"), **options)
                    return model.to(device)

                patch.setattr(module, "load_pretrained", moved)
            read = lora.load_file
            patch.setattr(
                lora,
                "load_file",
                lambda path, device: {k: v.to(device) for k, v in read(path).items()},
            )
            yield

    return pretend
