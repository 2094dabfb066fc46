"""Settings of a finetuning run; free of torch, so that they can be checked anywhere."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from vlselect.core.errors import InputError

ADAPTERS = ("lora", "none")
NO_EFFECT = ("cache_mb", "workers", "save_steps")  # on the trained weights


@dataclass(frozen=True)
class Settings:
    """Settings of a finetuning run; their defaults are in the config's schema (``$defs.finetune``).

    Attributes
    ----------
    adapter : {"lora", "none"}
        Train low-rank adapters, or the weights themselves.
    rank, alpha, dropout : int, float, float
        Of the LoRA adapters; their product is scaled by alpha / rank.
    target_modules : str, tuple of str or None
        Regular expression that whole names of modules match, or ends of their names, for LoRA;
        None: every linear layer of the language model.
    train_modules : tuple of str
        Ends of names of modules that are trained in full beside LoRA.
    freeze : tuple of str
        Regular expressions; weights whose names they match anywhere are not trained.
    epochs : float
        Passes over the samples.
    max_steps : int
        Optimiser steps; 0 leaves the length to `epochs`.
    learning_rate, warmup_ratio, scheduler : float, float, str
        Peak, share of the steps until it, and the Trainer's name of the course after it.
    batch_size, gradient_accumulation : int
        Samples in a micro-batch, and micro-batches in an optimiser step. Their product is what an
        optimiser step sees, whatever the number of processes. Its loss is the mean over the
        response tokens of all of them (`training_loss`).
    weight_decay, max_grad_norm, betas : float, float, (float, float)
        Of AdamW and the clipping before it; ``max_grad_norm`` 0 clips nothing.
    bf16 : bool
        Compute in bfloat16 where autocast allows it.
    gradient_checkpointing : bool
        Recompute activations in the backward pass, to save memory.
    deterministic : bool
        On a GPU, use deterministic kernels (slower). On one kind of CPU results repeat anyway.
    cache_mb : int
        Memory for encoded samples, which are then encoded once and not in every epoch; those
        beyond it are encoded anew each time. For each process; with workers, these share it and
        lose it after an epoch. No result depends on it.
    workers : int
        Helper processes that read and encode samples, for each training process; 0: none.
    save_steps : int
        Optimiser steps from one saved state to the next, from which a killed run goes on; 0: none
        is saved.
    processes : int
        Training processes, one on each GPU, that share the micro-batches of an optimiser step. Sums
        are taken in another order than in one process; and where an epoch's samples do not fill the
        last round of micro-batches, some are seen twice in it.

    References
    ----------
    Liu et al., LLaVA-1.5, CVPR 2024 (arXiv 2310.03744); Hu et al., LoRA, ICLR 2022
    (arXiv 2106.09685), equation 3.
    """

    adapter: str
    rank: int
    alpha: float
    dropout: float
    target_modules: str | tuple[str, ...] | None
    train_modules: tuple[str, ...]
    freeze: tuple[str, ...]
    epochs: float
    max_steps: int
    learning_rate: float
    warmup_ratio: float
    scheduler: str
    batch_size: int
    gradient_accumulation: int
    weight_decay: float
    max_grad_norm: float
    betas: tuple[float, float]
    bf16: bool
    gradient_checkpointing: bool
    deterministic: bool
    cache_mb: int
    workers: int
    save_steps: int
    processes: int

    def __post_init__(self) -> None:
        """Refuse values that would fail late or mean nothing."""
        if self.adapter not in ADAPTERS:
            raise InputError(f"finetune.adapter {self.adapter!r} is none of {ADAPTERS}")
        if self.adapter == "none" and self.train_modules:
            raise InputError("finetune.train_modules is for adapter lora; use freeze with none")
        for name in ("rank", "epochs", "learning_rate", "batch_size", "gradient_accumulation"):
            if not getattr(self, name) > 0:
                raise InputError(f"finetune.{name} {getattr(self, name)} is not above 0")
        if not 0 <= self.warmup_ratio < 1:
            raise InputError(f"finetune.warmup_ratio {self.warmup_ratio} is not in [0, 1)")
        if self.processes < 1 or self.gradient_accumulation % self.processes:
            raise InputError(
                f"finetune.processes {self.processes} does not divide finetune."
                f"gradient_accumulation {self.gradient_accumulation}: the processes share the "
                "micro-batches of an optimiser step equally"
            )

    @property
    def cache_bytes(self) -> int:
        """Memory for encoded samples of each process that encodes, in bytes."""
        return self.cache_mb * 2**20 // max(self.workers, 1)

    def steps(self, n_samples: int) -> int:
        """Count the optimiser steps of a run on that many samples, as the Trainer does."""
        if self.max_steps:
            return self.max_steps
        batches = math.ceil(n_samples / self.batch_size)
        return math.ceil(self.epochs * math.ceil(batches / self.gradient_accumulation))

    def warmup_steps(self, n_samples: int) -> int:
        """Count the steps of rising learning rate, at most all but one; the first has none."""
        steps = self.steps(n_samples)
        return min(math.ceil(self.warmup_ratio * steps), steps - 1)

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> "Settings":
        """Take settings from a config section, whose lists become tuples.

        Raises
        ------
        ValueError
            If a key is unknown or missing, or a value out of range; it names the key.
        """
        known = {field.name for field in fields(cls)}
        for what, keys in (("unknown", set(values) - known), ("missing", known - set(values))):
            if keys:
                raise InputError(f"{what} finetune settings: {', '.join(sorted(keys))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
