"""One CSV line for every optimiser step, and a progress bar."""

import csv
import math
import shutil
import time
from pathlib import Path

from transformers import TrainerCallback

from vlselect.core import log
from vlselect.core.errors import InputError

LOG_NAME = "training_log.csv"
COLUMNS = ("step", "epoch", "loss", "learning_rate", "seconds")


class TrainingLog(TrainerCallback):
    """Write a training log while the Trainer runs; use as a context manager around it.

    Parameters
    ----------
    path : str or Path
        CSV with the columns step, epoch, loss (mean over the step's response tokens), learning_rate
        and seconds (wall clock of training, without what kills lost).
    earlier : str or Path, optional
        Log of the run that this one resumes.
    """

    def __init__(self, path: str | Path, earlier: str | Path | None = None):
        self._path, self._earlier = Path(path), earlier
        self._spent = 0.0  # seconds

    def __enter__(self) -> "TrainingLog":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._earlier is not None:
            shutil.copyfile(self._earlier, self._path)
            with self._path.open(encoding="utf-8", newline="") as file:
                self._spent = max(
                    (float(line["seconds"]) for line in csv.DictReader(file)), default=0
                )
        self._file = self._path.open("a" if self._earlier else "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        if self._earlier is None:
            self._writer.writerow(COLUMNS)
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._file.close()

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        """Start clock and progress bar."""
        self._begin = time.perf_counter() - self._spent
        steps = range(state.global_step, state.max_steps)
        self._bar = log.progress(steps, description="finetuning")

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Advance the progress bar."""
        next(self._bar, None)

    def on_train_end(self, args, state, control, **kwargs) -> None:
        """Finish the progress bar."""
        next(self._bar, None)

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        """Write a line for a step, not for the Trainer's summary at the end.

        InputError if the loss is not finite.
        """
        if not logs or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"the loss is {logs['loss']} at step {state.global_step}; lower the learning rate"
            )
        seconds = time.perf_counter() - self._begin
        self._writer.writerow(
            [
                state.global_step,
                f"{state.epoch:.4f}",
                f"{logs['loss']:.6g}",
                f"{logs['learning_rate']:.6g}",
                f"{seconds:.3f}",
            ]
        )
        self._file.flush()
