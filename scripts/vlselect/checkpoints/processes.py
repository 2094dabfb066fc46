"""Processes that train one model together, as `accelerate launch` starts them."""

import os

from accelerate import PartialState


def count() -> int:
    """Number of processes of this run; 1 where nothing launched several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def part() -> None:
    """Leave the others in order: what comes after needs none of them."""
    if count() > 1:
        PartialState().destroy_process_group()
