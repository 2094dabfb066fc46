"""AdamW's second moments of the LoRA weights at the end of a training."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


def save_second_moments(
    path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer, beta: float
) -> None:
    """Save them by the weights' names in the model, float32, each of its weight's shape.

    `beta` is AdamW's second one; its bias is corrected. Weights that were not trained have none.
    """
    found = {}
    for name, weight in model.named_parameters():
        state = optimizer.state.get(weight, {})
        if "lora_" in name and "exp_avg_sq" in state:
            unbiased = state["exp_avg_sq"].float() / (1 - beta ** float(state["step"]))
            found[name] = unbiased.cpu().contiguous()
    save_file(found, path)
