"""Finetune a vision-language model on chosen samples with the transformers Trainer.

The loss is the mean cross-entropy over the response tokens of all micro-batches of an optimiser
step (`training_loss`): long responses weigh more than short ones.
"""

import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import enable_full_determinism

from vlselect.checkpoints import processes
from vlselect.checkpoints.second_moments import save_second_moments
from vlselect.checkpoints.training_data import ResponseCollator, SampleDataset
from vlselect.checkpoints.training_log import LOG_NAME, TrainingLog
from vlselect.checkpoints.training_loss import StepLoss
from vlselect.checkpoints.training_state import ResumableTrainer, TrainingStates, describe_inputs
from vlselect.config.finetune_settings import Settings
from vlselect.core.errors import InputError
from vlselect.models.loading import is_quantised
from vlselect.models.lora import attach_lora
from vlselect.models.vlm import VLM
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

FEW_STEPS = 10  # a shorter run is likely a mistake


def train(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    settings: Settings,
    seed: int,
    log_path: str | Path,
    *,
    max_pixels: int,
    partial: str | Path | None = None,
    second_moments: Path | None = None,
) -> PreTrainedModel | PeftModel:
    """Finetune on the samples at `rows` and return the trained model, in evaluation mode.

    On one kind of machine, the same arguments give the same weights: initial LoRA weights, order of
    the data and dropout all follow from `seed`. On a GPU that needs ``settings.deterministic``. A
    killed run that resumes from a saved state ends with the same weights and log. Other kinds of
    CPU or GPU round differently, and training enlarges the difference.

    Parameters
    ----------
    vlm : VLM
        Its model is trained in place: with LoRA it is wrapped, without, its weights change.
    samples : Samples
        The pool.
    rows : sequence of int
        Rows of the pool to train on.
    image_root : str or Path
        Folder of the samples' image paths.
    settings : Settings
    seed : int
    log_path : str or Path
        CSV file to write, see `TrainingLog`.
    max_pixels : int
        Larger images are errors.
    partial : str or Path, optional
        Folder for the states of ``settings.save_steps``. The caller removes it once the trained
        model is saved.
    second_moments : Path, optional
        Safetensors file to write AdamW's second moments of the LoRA weights to.

    Returns
    -------
    PeftModel or PreTrainedModel
        For adapter ``lora`` and ``none``.

    Raises
    ------
    InputError
        If there are no rows, no weights to train, not ``settings.processes`` processes, the loss
        becomes infinite or NaN (a `StoppedError` while weights are finite), or the GPU runs out of
        memory; names the settings that help.
    """
    _check_run(rows, settings)
    set_seeds(settings, seed, vlm.device)
    model = prepare_model(vlm.model, settings, seed)
    dataset = SampleDataset(
        vlm, samples, rows, image_root, max_pixels=max_pixels, cache_bytes=settings.cache_bytes
    )
    states = None
    if partial and settings.save_steps:
        inputs = describe_inputs(vlm, samples, rows, image_root, settings, seed)
        states = TrainingStates(partial, log_path, inputs)
    with tempfile.TemporaryDirectory() as scratch, same_cache_setting(model):
        arguments = training_arguments(
            *(settings, len(rows), seed, vlm.device, states.folder if states else scratch),
            saving=states is not None,
        )
        latest = states.open() if states else None
        with TrainingLog(log_path, latest / LOG_NAME if latest else None) as callback:
            trainer = ResumableTrainer(
                model=model,
                args=arguments,
                train_dataset=dataset,
                data_collator=ResponseCollator(vlm),
                compute_loss_func=StepLoss(model.config),
                callbacks=[callback, *([states] if states else [])],
            )
            trainer.remove_callback(PrinterCallback)
            if arguments.process_index:  # dropout differs between processes
                torch.manual_seed(seed + arguments.process_index)
            with out_of_memory_explained(settings):
                trainer.train(resume_from_checkpoint=str(latest) if latest else None)
            if second_moments is not None:
                optimizer = trainer.optimizer.optimizer  # accelerate's wraps AdamW
                save_second_moments(second_moments, model, optimizer, settings.betas[1])
    return model.eval()


def set_seeds(settings: Settings, seed: int, device: torch.device) -> None:
    """Seed all generators of this process, and make a GPU repeat its results if so set."""
    if settings.deterministic and device.type == "cuda":
        # Operations without a deterministic form log a warning with their name instead of failing
        enable_full_determinism(seed, warn_only=True)
    set_seed(seed)


def _check_run(rows: Sequence[int], settings: Settings) -> None:
    """Check rows and processes; log the size of an optimiser step."""
    if not len(rows):
        raise InputError("no samples to finetune on")
    if processes.count() != settings.processes:
        raise InputError(
            f"finetune.processes is {settings.processes}, but {processes.count()} were started; "
            "start several with `accelerate launch --num_processes`"
        )
    if not processes.is_first():
        return
    logger.info(
        "%d optimiser steps of %d samples each: batch_size %d, %d micro-batches on each of %d",
        *(settings.steps(len(rows)), settings.batch_size * settings.gradient_accumulation),
        *(settings.batch_size, settings.gradient_accumulation // settings.processes),
        settings.processes,
    )
    surplus = -len(rows) % (settings.batch_size * settings.processes)
    if settings.processes > 1 and surplus:
        logger.warning("%d samples are seen twice in each epoch: see finetune.processes", surplus)
    if settings.steps(len(rows)) < FEW_STEPS:
        logger.warning(
            "only %d optimiser steps for %d samples: batch_size times gradient_accumulation is %d",
            *(settings.steps(len(rows)), len(rows)),
            settings.batch_size * settings.gradient_accumulation,
        )


@contextmanager
def out_of_memory_explained(settings: Settings, batch_advice: str = "") -> Iterator[None]:
    """Raise InputError with the settings that help if the GPU runs out of memory.

    The batch is not halved automatically: that would change where sums are rounded, and two GPUs
    would get two results for one config. `batch_advice` replaces the advice on the batch if a
    smaller one changes the method.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        advice = [
            batch_advice
            or f"lower finetune.batch_size, now {settings.batch_size}, and raise finetune."
            f"gradient_accumulation, now {settings.gradient_accumulation}, by the same"
            " factor: an optimiser step keeps its samples and its loss, the mean over their tokens"
        ]
        if not settings.gradient_checkpointing:
            advice.append("set finetune.gradient_checkpointing: true")
        if settings.adapter == "none":
            advice.append("train LoRA (finetune.adapter: lora)")
        raise InputError(f"{'; or '.join(advice)}. {error}") from error


def prepare_model(
    model: PreTrainedModel, settings: Settings, seed: int
) -> PreTrainedModel | PeftModel:
    """Attach LoRA, or unfreeze all weights except the frozen ones; log how many are trained.

    ValueError if `train_modules` or `freeze` match nothing in the model, or nothing is left to
    train.
    """
    if settings.adapter == "none" and is_quantised(model):
        raise InputError("finetune.adapter none: quantised weights cannot be trained; use lora")
    if settings.adapter == "lora":
        _require_modules(model, settings.train_modules)
        model = attach_lora(
            model,
            rank=settings.rank,
            alpha=settings.alpha,
            dropout=settings.dropout,
            target_modules=settings.target_modules,
            modules_to_save=settings.train_modules,
            seed=seed,
        )
    else:
        model.requires_grad_(True)
        if model.dtype != torch.float32:
            logger.warning("training %s weights: small updates round away", model.dtype)
    for pattern in settings.freeze:
        matched = [w for name, w in model.named_parameters() if re.search(pattern, name)]
        if not matched:
            raise InputError(f"finetune.freeze: {pattern!r} matches no weight of the model")
        for weight in matched:
            weight.requires_grad_(False)
    trained = sum(w.numel() for w in model.parameters() if w.requires_grad)
    if not trained:
        raise InputError("finetune: every weight is frozen, nothing is left to train")
    logger.info("training %d of %d weights", trained, sum(w.numel() for w in model.parameters()))
    return model


@contextmanager
def same_cache_setting(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Restore the config's `use_cache`, which the Trainer turns off and would save."""
    settings = vars(model.config)
    had, value = "use_cache" in settings, settings.get("use_cache")
    yield
    if had:
        settings["use_cache"] = value
    else:
        settings.pop("use_cache", None)


def training_arguments(
    settings: Settings,
    n_samples: int,
    seed: int,
    device: torch.device,
    folder: str | Path,
    saving: bool = False,
) -> TrainingArguments:
    """Convert the settings for the Trainer, which reports nothing and saves only if `saving`."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup_steps(n_samples),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation // settings.processes,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        optim="adamw_torch",
        bf16=settings.bf16,
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        seed=seed,
        data_seed=seed,  # the same order of samples for all processes
        use_cpu=device.type == "cpu",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if saving else "no",
        save_steps=settings.save_steps or 1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=settings.workers,
        dataloader_pin_memory=device.type == "cuda",
        # a text-only batch gives the projector no gradient
        ddp_find_unused_parameters=True if settings.processes > 1 else None,
        label_names=["labels"],
        average_tokens_across_devices=True,  # a step's tokens are those of all processes
    )
    if arguments.n_gpu > 1:  # else the Trainer silently splits each batch over all of them
        arguments._n_gpu = 1
    return arguments


def _require_modules(model: PreTrainedModel, ends: Sequence[str]) -> None:
    """Check that each end matches a module's name: peft ignores those without a match."""
    names = [name for name, _ in model.named_modules()]
    for end in ends:
        if not any(name == end or name.endswith(f".{end}") for name in names):
            raise InputError(f"finetune.train_modules: no module's name ends in {end!r}")
