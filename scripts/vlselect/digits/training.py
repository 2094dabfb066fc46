"""Shared by the demo's two pretrainings: fixed randomness, drawing, pixels, steps, logs."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from vlselect.core import store
from vlselect.core.kept_memory import keep_freed_memory
from vlselect.digits.scenes import Scene, render

logger = logging.getLogger(__name__)


def fix_randomness(seed: int, threads: int) -> None:
    """Make later torch operations of this process repeatable, bit for bit on one kind of CPU."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    logger.info("seed %d, %d threads, on the CPU", seed, threads)


def drawn(batches: IterableDataset, ahead: bool) -> DataLoader:
    """Load what a dataset yields: in between, or ahead of the training, by a process of its own.

    Both ways the same values come in the same order. Arrays come through a pipe, tensors through
    shared memory, of which containers often have little.
    """
    process = {"num_workers": 1, "prefetch_factor": 1, "multiprocessing_context": "fork"}
    return DataLoader(batches, batch_size=None, **(process if ahead else {}))


def pixel_values(scenes: Iterable[Scene], image_processor) -> Tensor:
    """Render scenes, normalised by an image processor: float32 (n, 3, height, width)."""
    images = torch.from_numpy(np.stack([render(scene) for scene in scenes]))
    mean = torch.tensor(image_processor.image_mean).view(1, 3, 1, 1)
    deviation = torch.tensor(image_processor.image_std).view(1, 3, 1, 1)
    return (images.permute(0, 3, 1, 2) / 255 - mean) / deviation


@dataclass
class Trainer:
    """AdamW with clipped gradients and a log of each step; trains what needs a gradient."""

    parameters: list[torch.nn.Parameter]
    history: list[dict] = field(default_factory=list)

    def __post_init__(self):
        self.parameters = [p for p in self.parameters if p.requires_grad]
        # The second beta is lower than usual: in runs this short the default looks back too far.
        self._optimizer = torch.optim.AdamW(
            self.parameters, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01
        )

    def step(self, loss: Tensor, learning_rate: float) -> None:
        """Take one step with a loss's gradient, clipped to norm 1."""
        loss.backward()
        self.update(loss.detach(), learning_rate)

    def update(self, loss: Tensor, learning_rate: float) -> None:
        """Take one step with the gradients that a loss has left, clipped to norm 1; clear them."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        entry = {"step": len(self.history) + 1, "loss": loss.item(), "learning_rate": learning_rate}
        self.history.append(entry)

    def note(self, **measured: float) -> None:
        """Add measurements to the last step, and log them with the recent mean loss."""
        self.history[-1].update(measured)
        recent = np.mean([entry["loss"] for entry in self.history[-100:]])
        text = ", ".join(f"{name} {value:.3f}" for name, value in measured.items())
        logger.info("step %d: loss %.3f, %s", len(self.history), recent, text)

    def write_log(self, path: Path) -> None:
        """Write every step as CSV: step, loss, learning_rate and measurements."""
        frame = pd.DataFrame(self.history)
        store.write_text(frame.to_csv(index=False, float_format="%.6g"), path)
