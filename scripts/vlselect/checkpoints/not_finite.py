"""Samples whose loss is infinite or NaN: training that meets one stops, or starts over without it.

All samples to train on are then run once through the model as it was loaded. Those without a finite
loss there are themselves at fault; where there is none, it is the training (a learning rate).
"""

import argparse
import gc
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from transformers import Trainer

from vlselect.checkpoints import processes
from vlselect.checkpoints.training_data import ROWS
from vlselect.checkpoints.training_loss import NotFiniteError
from vlselect.config.finetune_settings import Settings
from vlselect.core.errors import InputError
from vlselect.features.likelihood import response_sums
from vlselect.features.refusals import settle
from vlselect.models import loading
from vlselect.models.batching import batches
from vlselect.pool.samples import Samples

Trained = TypeVar("Trained")


class StoppedError(InputError):
    """Training met a loss that is not finite while its weights are."""


class NamingTrainer(Trainer):
    """A Trainer on a `SampleDataset` that names the samples whose loss is not finite.

    Its collator has to give the samples' rows in the pool as `ROWS`, its model or loss function to
    raise `NotFiniteError`. All processes stop at the same micro-batch.
    """

    def floating_point_ops(self, inputs: dict) -> int:
        """Return 0: nothing reads the count, which goes through all weights' names at each step."""
        return 0

    def compute_loss(self, model: nn.Module, inputs: dict, *args, **options) -> torch.Tensor:
        """Return the loss of a micro-batch; StoppedError if that of any process is not finite."""
        rows, bad, loss = inputs.pop(ROWS), None, None
        try:
            loss = super().compute_loss(model, inputs, *args, **options)
        except NotFiniteError as error:
            bad = rows[error.places].tolist()
        if not processes.any_of(bad is not None):
            return loss
        step = self.state.global_step + 1
        if not all(w.isfinite().all() for w in self.model.parameters() if w.requires_grad):
            raise InputError(f"weights are not finite at step {step}: lower the learning rate")
        names = ", ".join(repr(self.train_dataset.sample_ids[row]) for row in bad or [])
        raise StoppedError(
            f"the loss of samples {names or 'of another process'} is not finite at step {step}"
        )


def train_without(
    samples: Samples,
    choose: Callable[[np.ndarray], np.ndarray],
    train: Callable[[np.ndarray], Trained],
    settings: Settings,
    arguments: argparse.Namespace,
) -> tuple[Trained, np.ndarray]:
    """Train, again without samples that have no finite loss if some stop it and `reject` allows it.

    Parameters
    ----------
    samples : Samples
        The pool.
    choose : callable
        From the rows that are refused, int64 ascending, to the rows to train on.
    train : callable
        Loads the model and trains it on rows.
    settings : Settings
    arguments : Namespace
        Flags of the model, its samples and ``--on-refused``.

    Returns
    -------
    object, int64 array
        What `train` returns, and the rows that were refused, ascending.

    Raises
    ------
    InputError
        With ``--on-refused error``, names all such samples. If training is at fault itself.
    """
    refused = np.empty(0, np.int64)
    while True:
        rows = choose(refused)
        try:
            return train(rows), refused
        except StoppedError as error:
            met = str(error)
        gc.collect()  # the model that was trained
        faults = find(samples, rows, settings, arguments)
        if not faults:
            raise InputError(f"{met}, but was before training: lower the learning rate")
        settle(faults, arguments.on_refused)
        refused = np.union1d(refused, list(faults))


@torch.inference_mode()
def find(
    samples: Samples, rows: Sequence[int], settings: Settings, arguments: argparse.Namespace
) -> Mapping[int, str]:
    """Return the rows that have no finite loss under the model as loaded, with what is wrong.

    The rows are shared out among the processes, all of which get the same result.
    """
    vlm = loading.load_from_arguments(arguments)
    vlm.batch_size = settings.batch_size
    own = np.sort(rows)[processes.rank() :: processes.count()].tolist()
    faults = {}
    for batch in batches(
        *(vlm, samples, own, arguments.images),
        max_pixels=arguments.max_pixels,
        description="losses before training",
    ):
        with torch.autocast(vlm.device.type, torch.bfloat16, enabled=settings.bf16):
            losses, _ = response_sums(vlm.model, batch)
        for place in (~losses.isfinite()).nonzero().flatten().tolist():
            what = f"loss of sample {batch.sample_ids[place]!r} is {losses[place].item()}"
            faults[int(batch.rows[place])] = what
    return dict(sorted(processes.gather(faults).items()))
