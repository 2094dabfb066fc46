"""Training jobs of rules: flags in, a checkpoint directory out, written by one process."""

import argparse
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.checkpoints import processes
from vlselect.checkpoints.finetune import train
from vlselect.checkpoints.not_finite import train_without
from vlselect.checkpoints.training_log import LOG_NAME
from vlselect.config.finetune_settings import NO_EFFECT, Settings
from vlselect.core import log
from vlselect.core.store import as_cell, replacing_directory
from vlselect.features.refusals import add_refusal_arguments
from vlselect.models import loading
from vlselect.models.checkpoint import save_checkpoint
from vlselect.models.lora import MOMENTS
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for model, samples, settings and output."""
    add_samples_arguments(parser)
    add_settings_arguments(parser)
    parser.add_argument("--seed", type=int, required=True, help="of everything random")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint directory to write")
    add_refusal_arguments(parser)
    parser.add_argument(
        "--partial", type=Path, help="folder for states to resume from after a kill (save_steps)"
    )
    loading.add_loading_arguments(parser)


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for finetuning settings; those that no result depends on have their own."""
    parser.add_argument("--settings", required=True, help="finetuning settings, as JSON")
    for name in NO_EFFECT:
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, required=True, help=f"{name}, if not in --settings")


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the flags of `add_settings_arguments` hold."""
    own = {name: getattr(arguments, name) for name in NO_EFFECT}
    return Settings.from_mapping(own | json.loads(arguments.settings))


def start_logging() -> None:
    """Log from the first process; from the others only warnings and errors."""
    log.start(logging.INFO if processes.is_first() else logging.WARNING)


def train_and_save(
    samples: Samples,
    choose: Callable[[np.ndarray], np.ndarray],
    settings: Settings,
    arguments: argparse.Namespace,
    tables: Callable[[np.ndarray], Mapping[str, pd.DataFrame]] = lambda rows: {},
    *,
    second_moments: bool = False,
) -> None:
    """Finetune and write the checkpoint, its log and `tables` of the rows (CSV, by file name).

    With `second_moments` also the optimiser's, for `gradients.precondition`.

    `choose` returns the rows to train on, given those that are refused because their loss is not
    finite (`train_without`). Saved states are deleted once the checkpoint is in place.
    """

    def train_on(rows: np.ndarray) -> None:
        run = (loading.load_from_arguments(arguments), samples, rows, arguments.images)
        run = (*run, settings, arguments.seed)
        options = {"max_pixels": arguments.max_pixels, "partial": arguments.partial}
        if not processes.is_first():
            train(*run, os.devnull, **options)
            processes.part()
            return
        with replacing_directory(arguments.out) as directory:
            with log.timed(f"finetuning on {len(rows)} samples"):
                moments = directory / MOMENTS if second_moments else None
                trained = train(*run, directory / LOG_NAME, **options, second_moments=moments)
            processes.part()
            save_checkpoint(trained, directory)
            for name, table in tables(rows).items():
                cells = table.map(as_cell)
                cells.to_csv(directory / name, index=False, lineterminator="\n")

    train_without(samples, choose, train_on, settings, arguments)
    if processes.is_first() and arguments.partial is not None:
        shutil.rmtree(arguments.partial, ignore_errors=True)
