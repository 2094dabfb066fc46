"""Paths and sizes of the synthetic stores. Standard library only."""

from pathlib import Path

SHARDS = 4
STEP = SHARDS * 64  # rows; a quarter consists of whole blocks of vlselect.core.store
TASKS, VALIDATION = 10, 100
SAMPLES_PER_CLUSTER = 66.5  # the pipeline's default, 10,000 clusters of 665,000 samples
TENTH = ("assignment", "training", "density", "greedy", "density-many", "greedy-many")  # of n
WIDTHS = {"gradients": 5120, "attended": 4096, "activations": 20480, "hidden": 896}


def rounded(n: int) -> int:
    """Return the next number of rows whose quarters are whole blocks."""
    return -(-n // STEP) * STEP


def shard_paths(folder: Path, divisor: int) -> list[Path]:
    """Return the shards of the first 1/divisor of the rows; each holds a quarter."""
    return [folder / f"shard-{i}-of-{SHARDS}.safetensors" for i in range(1, SHARDS // divisor + 1)]
