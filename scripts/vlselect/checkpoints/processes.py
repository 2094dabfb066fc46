"""Processes that train one model together, started by `accelerate launch`."""

import os
from collections.abc import Mapping

import torch
from accelerate import PartialState
from torch import distributed


def count() -> int:
    """Return the number of processes of this run; 1 if it was not launched with several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return this process's place among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return rank() == 0


def any_of(flag: bool) -> bool:
    """Return whether the flag of any process is true; all have to call this."""
    if count() == 1:
        return flag
    flags = torch.tensor(int(flag), device=PartialState().device)
    distributed.all_reduce(flags, distributed.ReduceOp.MAX)
    return bool(flags)


def gather(found: Mapping) -> dict:
    """Return what all processes found; all have to call this."""
    every = [found]
    if count() > 1:
        every = [{} for _ in range(count())]
        distributed.all_gather_object(every, found)
    return {key: value for each in every for key, value in each.items()}


def part() -> None:
    """Leave the process group; later steps need one process only."""
    if count() > 1:
        PartialState().destroy_process_group()
