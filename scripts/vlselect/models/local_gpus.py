"""GPUs that jobs on this machine share: take_gpus.py gives each job its own of them."""

import os

from vlselect.models.visible_gpus import visible_gpus


def hand_out() -> int:
    """Set VLSELECT_GPUS, which jobs inherit, to the visible GPUs' names; return their number.

    Names are as CUDA_VISIBLE_DEVICES has them; without it, CUDA's numbers.
    """
    number = visible_gpus()
    named = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(number)))
    names = [name.strip() for name in named.split(",")]
    os.environ["VLSELECT_GPUS"] = ",".join(names[:number])
    return number
