"""Processes that train one model together, started by `accelerate launch`."""

import os

from accelerate import PartialState


def count() -> int:
    """Return the number of processes of this run; 1 if it was not launched with several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def part() -> None:
    """Leave the process group; later steps need one process only."""
    if count() > 1:
        PartialState().destroy_process_group()
