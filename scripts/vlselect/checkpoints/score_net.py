"""Self-Filter's score net: a linear map of CLIP features, trained jointly with the VLM.

In every batch, the softmax of the net's outputs weights the samples' losses. To lower the weighted
loss, the net has to move weight away from samples that the VLM finds hard, so after training a low
output means a difficult sample. A constant added to all outputs changes no weight: differences
between difficulties are meaningful, their zero is not.
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers.trainer_callback import PrinterCallback

from vlselect.checkpoints.finetune import (
    out_of_memory_explained,
    prepare_model,
    set_seeds,
    training_arguments,
)
from vlselect.checkpoints.not_finite import NamingTrainer
from vlselect.checkpoints.training_data import ROWS, SampleDataset
from vlselect.checkpoints.training_log import TrainingLog
from vlselect.checkpoints.training_loss import NotFiniteError
from vlselect.config.finetune_settings import Settings
from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray
from vlselect.features.likelihood import response_sums
from vlselect.models.collation import IGNORED
from vlselect.models.vlm import VLM, Batch, Encoded
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

ALONE = {"workers": 0, "save_steps": 0, "processes": 1}  # what no other value is allowed for
VARIANTS = ("paper", "released")
SMALLER_BATCH = (
    "lower finetune.batch_size of the score net, now {}, which changes the method: its softmax "
    "compares the samples of a micro-batch"
)


class ScoreNet(nn.Module):
    """One float32 weight for each feature, no bias; computes in float32 even under autocast.

    Parameters
    ----------
    width : int
        Length of a feature vector.
    spread : float
        Standard deviation of the initial weights; 0.02 in the released program.
    seed : int
        Of the initial weights.
    """

    def __init__(self, width: int, spread: float, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(spread * torch.randn(width, generator=generator))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (B, width) to outputs (B,)."""
        with torch.autocast(features.device.type, enabled=False):
            return features.float() @ self.weight


def batch_weights(outputs: torch.Tensor) -> torch.Tensor:
    """Compute the weights (B,) of a batch: B · softmax of the net's outputs (B,), mean 1."""
    return len(outputs) * outputs.softmax(dim=0)


def weighted_loss(
    sums: torch.Tensor, counts: torch.Tensor, weights: torch.Tensor, variant: str
) -> torch.Tensor:
    """Compute the loss () of a batch of weighted samples.

    Parameters
    ----------
    sums, counts : Tensors (B,)
        From `response_sums`.
    weights : Tensor (B,)
        Mean 1.
    variant : {"paper", "released"}
        ``paper``: mean over samples of weight times mean token loss. ``released``: mean over the
        batch's tokens of token loss times the sample's weight, so that long responses count more.

    References
    ----------
    Chen et al., Self-Filter, Findings of ACL 2024 (arXiv 2402.12501), section 3, stage 1.
    """
    if variant == "paper":
        return (weights * sums / counts).mean()
    if variant == "released":
        return (weights * sums).sum() / counts.sum()
    raise InputError(f"variant {variant!r} is not one of {VARIANTS}")


class JointModel(nn.Module):
    """A VLM and the score net that weights its losses, as one module for the Trainer."""

    def __init__(self, model: nn.Module, net: ScoreNet, variant: str):
        super().__init__()
        self.model, self.net, self.variant = model, net, variant

    def forward(self, batch: Batch, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the weighted loss of a batch with its CLIP features (B, width), as `loss`.

        NotFiniteError if a sample's own loss is not finite.
        """
        sums, counts = response_sums(self.model, batch)
        if not sums.isfinite().all():
            raise NotFiniteError((~sums.isfinite()).nonzero().flatten().tolist())
        weights = batch_weights(self.net(features))
        return {"loss": weighted_loss(sums, counts, weights, self.variant)}


class JointCollator:
    """Stack encoded samples and look up their CLIP features."""

    def __init__(self, vlm: VLM, features: ShardedArray, variant: str):
        self._vlm, self._features, self._variant = vlm, features, variant

    def __call__(self, samples: Sequence[Encoded]) -> dict[str, Batch | torch.Tensor]:
        """Return the arguments of `JointModel.forward`, padded on the right, `labels` and `ROWS`.

        The Trainer counts the labels other than `IGNORED` over a whole step, so they mark what the
        loss averages over: samples (paper) or their response tokens (released).
        """
        batch = self._vlm.collate(samples, padding_side="right")
        features = torch.from_numpy(self._features[batch.rows].astype(np.float32))
        rows = torch.from_numpy(batch.rows)
        labels = batch.labels if self._variant == "released" else rows
        return {"batch": batch, "features": features, "labels": labels, ROWS: rows}


def step_part(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor
) -> torch.Tensor:
    """Weight a micro-batch's loss by its share of the step's samples or tokens."""
    counted = (labels != IGNORED).sum().to(outputs["loss"].device)
    return outputs["loss"] * (counted / num_items_in_batch)


def joint_optimiser(
    joint: JointModel, settings: Settings, net_learning_rate: float
) -> torch.optim.AdamW:
    """Return AdamW over the VLM's trained weights and, with its own rate and no decay, the net."""
    trained = [weight for weight in joint.model.parameters() if weight.requires_grad]
    groups = [
        {"params": trained, "weight_decay": settings.weight_decay},
        {"params": list(joint.net.parameters()), "lr": net_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas)


def train(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    features: ShardedArray,
    image_root: str | Path,
    settings: Settings,
    seed: int,
    log_path: str | Path,
    *,
    net_learning_rate: float,
    initial_spread: float,
    variant: str,
    max_pixels: int,
) -> ScoreNet:
    """Train the VLM's adapter and the score net on the samples at `rows`; return the net.

    The softmax is taken over a micro-batch (``settings.batch_size`` samples), as in the released
    program; the loss of an optimiser step is the mean over the samples (``paper``) or tokens
    (``released``) of all its micro-batches. Both learning rates follow the settings' schedule.
    Reproducibility is as in `finetune.train`.

    Parameters
    ----------
    vlm, samples, rows, image_root, max_pixels
        As in `finetune.train`.
    features : ShardedArray, shape (N, 2·d)
        CLIP features of the whole pool.
    settings : Settings
        Of the VLM's training; its batch size is that of the softmax.
    seed : int
        Of initial weights, order of the data and dropout.
    log_path : str or Path
        CSV to write, see `TrainingLog`; the loss is the weighted one, the learning rate the VLM's.
    net_learning_rate : float
        Peak learning rate of the net; 2e-5 in the released program.
    initial_spread : float
        See `ScoreNet`.
    variant : {"paper", "released"}
        See `weighted_loss`.

    Raises
    ------
    ValueError
        If there are no rows, a batch would hold only one sample, the variant is unknown, or the
        features do not fit the pool.
    InputError
        If the loss becomes infinite or NaN; a `StoppedError` while weights are finite.

    References
    ----------
    Chen et al., Self-Filter, Findings of ACL 2024 (arXiv 2402.12501), section 3, stage 1.
    """
    _check(rows, len(samples), len(features), settings, variant)
    set_seeds(settings, seed, vlm.device)
    model = prepare_model(vlm.model, settings, seed)
    if settings.gradient_checkpointing:  # the Trainer would ask the joint module, which has none
        model.activation_checkpointing_enable({"use_reentrant": False})
    plain = replace(settings, gradient_checkpointing=False)
    net = ScoreNet(features.shape[1], initial_spread, seed).to(vlm.device)
    joint = JointModel(model, net, variant)
    dataset = SampleDataset(
        vlm, samples, rows, image_root, max_pixels=max_pixels, cache_bytes=settings.cache_bytes
    )
    with tempfile.TemporaryDirectory() as scratch, TrainingLog(log_path) as callback:
        trainer = NamingTrainer(
            model=joint,
            args=training_arguments(plain, len(rows), seed, vlm.device, scratch),
            train_dataset=dataset,
            data_collator=JointCollator(vlm, features, variant),
            compute_loss_func=step_part,
            callbacks=[callback],
            optimizers=(joint_optimiser(joint, settings, net_learning_rate), None),
        )
        trainer.remove_callback(PrinterCallback)
        with out_of_memory_explained(settings, SMALLER_BATCH.format(settings.batch_size)):
            trainer.train()
    return net.eval()


@torch.no_grad()
def difficulties(net: ScoreNet, features: ShardedArray) -> np.ndarray:
    """Compute every sample's difficulty: minus the net's output, float32 (N,).

    The output is taken before any softmax, which would depend on the rest of a batch. Higher is
    harder; often negative, and only differences are meaningful. `features` is a ShardedArray (N,
    2·d).

    References
    ----------
    Chen et al., Self-Filter, Findings of ACL 2024 (arXiv 2402.12501), section 3, stage 2.
    """
    weight = net.weight.double().cpu()
    blocks = (torch.from_numpy(block.astype(np.float64)) for _, block in features.blocks())
    outputs = [block @ weight for block in blocks]
    return -torch.cat(outputs).numpy().astype(np.float32)


def _check(rows, n_pool: int, n_features: int, settings: Settings, variant: str) -> None:
    """Check the arguments of `train`."""
    if not len(rows):
        raise InputError("no samples to train the score net on")
    if variant not in VARIANTS:
        raise InputError(f"variant {variant!r} is not one of {VARIANTS}")
    if n_features != n_pool:
        raise InputError(f"{n_features} rows of CLIP features for a pool of {n_pool} samples")
    if settings.batch_size < 2:
        raise InputError(
            "finetune.batch_size: the score net compares samples of a batch; use at least 2"
        )
    for name, value in ALONE.items():
        if getattr(settings, name) != value:
            raise InputError(f"finetune.{name}: not available for the score net")
