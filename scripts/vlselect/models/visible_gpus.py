"""How many GPUs jobs on this machine could use, found without torch: the workflow asks."""

import os
from collections.abc import Mapping
from pathlib import Path

NODES = ("nvidia[0-9]*", "dri/renderD[0-9]*", "dxg")  # of NVIDIA, of AMD, of Windows' Linux


def visible_gpus(environment: Mapping[str, str] = os.environ, devices: str | Path = "/dev") -> int:
    """Count the GPUs that CUDA_VISIBLE_DEVICES leaves of those that the kernel shows.

    Parameters
    ----------
    environment : mapping of str to str
        Variables of the process.
    devices : str or Path
        Folder of device files; AMD's count only beside ``kfd``, their driver for computing.
    """
    folder = Path(devices)
    nvidia, amd, windows = (len(list(folder.glob(pattern))) for pattern in NODES)
    found = nvidia or windows or (amd if (folder / "kfd").exists() else 0)
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is None or not found:
        return found
    names = [name.strip() for name in named.split(",")]
    usable = next((i for i, name in enumerate(names) if name in ("", "-1")), len(names))
    slices = all(name.startswith("MIG") for name in names[:usable])  # several on a GPU
    return usable if slices else min(found, usable)
