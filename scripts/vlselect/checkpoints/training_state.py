"""States of a finetuning run, saved along the way, from which a killed run resumes.

A state is a folder ``checkpoint-<step>`` with the trained weights (safetensors), optimiser,
schedule and random generators (read with ``weights_only``), and the training log so far. It is
complete only with its mark, which is written last. States of other inputs are deleted.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import peft
import torch
import transformers
from accelerate import PartialState
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback

from vlselect.checkpoints import processes
from vlselect.checkpoints.not_finite import NamingTrainer
from vlselect.checkpoints.training_log import LOG_NAME
from vlselect.config.finetune_settings import NO_EFFECT, Settings
from vlselect.core import sources
from vlselect.core.errors import InputError, naming_file, naming_full_disk
from vlselect.core.store import write_json
from vlselect.models.vlm import VLM
from vlselect.models.weights import require_same
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

WEIGHTS = "trained.safetensors"
MARK = "complete"
INPUTS = "inputs.json"


def describe_inputs(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: ImageRoots | str | Path,
    settings: Settings,
    seed: int,
) -> dict[str, object]:
    """Describe everything that a run's weights depend on, for JSON.

    A model's files are identified by name, size and modification time, samples by the digest of
    their content, images by their root alone.
    """
    folder = Path(vlm.path)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    stats = [(str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    digests = samples.frame(["digest"])["digest"].to_numpy()[list(rows)]
    lines = "\n".join(f"{row} {digest}" for row, digest in zip(rows, digests, strict=True))
    options = {k: v for k, v in asdict(settings).items() if k not in NO_EFFECT}
    config = vlm.model.config.to_json_string(use_diff=False)
    return {
        "settings": json.loads(json.dumps(options)),
        "seed": seed,
        "rows": hashlib.sha256(lines.encode()).hexdigest(),
        "images": repr(ImageRoots.parse(image_root)),
        "model": [vlm.path, vlm.revision, str(vlm.model.dtype), vlm.max_length],
        "model_config": hashlib.sha256(config.encode()).hexdigest(),
        "model_files": hashlib.sha256(repr(stats).encode()).hexdigest(),
        "code": sources.code_digest(sources.imported_sources("finetune_model.py")),
        "versions": [torch.__version__, transformers.__version__, peft.__version__],
    }


class TrainingStates(TrainerCallback):
    """The saved states of one run, and the Trainer's callback that completes and deletes them.

    `folder` belongs to this run alone, need not exist, and must survive a kill. The log at
    `log_path` is saved with every state; `inputs` come from `describe_inputs`.
    """

    def __init__(self, folder: str | Path, log_path: str | Path, inputs: dict[str, object]):
        self.folder, self._log_path, self._inputs = Path(folder), Path(log_path), inputs

    def open(self) -> Path | None:
        """Delete states that this run cannot resume from; return the latest one, if any."""
        process = PartialState()
        if process.is_main_process:
            self._clear()
        process.wait_for_everyone()
        latest = max(self._states(), key=_step, default=None)
        if latest is not None:
            logger.info("resuming after step %d from %s", _step(latest), latest)
        return latest

    def remove(self) -> None:
        """Delete all states."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Skip the state after the last step."""
        if state.global_step >= state.max_steps:
            control.should_save = False

    def on_save(self, args, state, control, **kwargs) -> None:
        """Complete the state that the Trainer wrote, then delete earlier ones."""
        newest = self.folder / f"checkpoint-{state.global_step}"
        with whole_or_nothing(newest):
            if processes.is_first():
                shutil.copyfile(self._log_path, newest / LOG_NAME)
                (newest / MARK).touch()
        if not processes.is_first():
            return
        logger.info("saved %s", newest)
        for older in self._states():
            if older != newest:
                shutil.rmtree(older)

    def _clear(self) -> None:
        path = self.folder / INPUTS
        if path.is_file():
            with naming_file(path):
                saved = json.loads(path.read_text(encoding="utf-8"))
            changed = sorted(k for k in self._inputs if saved.get(k) != self._inputs[k])
            if changed:
                logger.warning("%s: starting over, changed: %s", self.folder, ", ".join(changed))
                self.remove()
        for state in self.folder.glob("checkpoint-*"):
            if not path.is_file() or not (state / MARK).is_file():
                shutil.rmtree(state)
        write_json(self._inputs, path)

    def _states(self) -> list[Path]:
        return [path.parent for path in self.folder.glob(f"checkpoint-*/{MARK}")]


class ResumableTrainer(NamingTrainer):
    """A Trainer whose states hold only what training changes, by its name in the running model.

    Ordinary checkpoints are made for loading: their names may differ from those in the running
    model, and weights without a match would silently keep their values.
    """

    def _save_checkpoint(self, model: nn.Module, trial: None) -> None:
        with whole_or_nothing(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"):
            super()._save_checkpoint(model, trial)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write trained weights and buffers, from one process."""
        if self.args.should_save:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            tensors = {k: v.detach().contiguous() for k, v in changing(self.model).items()}
            save_file(tensors, Path(output_dir) / WEIGHTS)

    @torch.no_grad()
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        path = Path(resume_from_checkpoint) / WEIGHTS
        saved, own = load_file(path), changing(self.model)
        require_same(path, saved, own)
        for name, tensor in own.items():
            tensor.copy_(saved[name])


@contextmanager
def whole_or_nothing(state: Path) -> Iterator[None]:
    """Remove the state that the block writes if the disk takes no more, which is an InputError.

    All processes have to enter the block; it ends for all of them at once, and in the same way.
    """
    problem = None
    try:
        with naming_full_disk(state):
            yield
    except InputError as error:
        problem = error
    if not processes.any_of(problem is not None):
        return
    if processes.is_first():
        shutil.rmtree(state, ignore_errors=True)
    raise problem or InputError(f"{state} cannot be written: another process says why")


def changing(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return trained weights and saved buffers of a model, by name."""
    weights = {name: w for name, w in model.named_parameters() if w.requires_grad}
    kept = model.state_dict().keys()
    return weights | {name: b for name, b in model.named_buffers() if name in kept}


def _step(state: Path) -> int:
    return int(state.name.rpartition("-")[2])
