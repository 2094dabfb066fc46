"""Run a command on GPUs of its own, of those that VLSELECT_GPUS lists; without it, as it comes.

The workflow sets that variable where jobs run on its own machine; a cluster assigns GPUs itself.
Each GPU has a lock, which the command holds until it ends, however it ends. So jobs of several runs
of a user keep apart as well.
"""

import argparse
import contextlib
import fcntl
import itertools
import os
import stat
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

WAIT = 0.5  # seconds between two looks for a free GPU


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gpus", type=int, help="how many the command needs")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="with its arguments")
    return parser


def lock(path: Path, mode: int) -> int | None:
    """Lock a file, made if it is missing; return its descriptor, None if it is locked already."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, mode)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def lock_folder() -> Path:
    """Return the folder of this user's locks, made if it is missing; never one of somebody else."""
    folder = Path(tempfile.gettempdir(), f"vlselect-gpus-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        sys.exit(f"{folder} is not a folder of yours: remove it, or set TMPDIR to another place")
    return folder


def take(names: Sequence[str], number: int) -> list[str]:
    """Lock `number` of the GPUs for this process and its successors; none if fewer are free."""
    folder = lock_folder()
    choosing = lock(folder / "choosing", fcntl.LOCK_EX)  # so that no process takes half
    paths = (folder / quote(name, safe="") for name in names)  # names of parts have slashes
    locks = (lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB) for path in paths)
    free = (one for one in zip(names, locks, strict=True) if one[1] is not None)
    taken = dict(itertools.islice(free, number))
    for descriptor in taken.values():
        if len(taken) == number:
            os.set_inheritable(descriptor, True)
        else:
            os.close(descriptor)
    os.close(choosing)
    return list(taken) if len(taken) == number else []


def wait_for(names: Sequence[str], number: int) -> list[str]:
    """Return GPUs that this process has for itself, as soon as there are enough."""
    if number > len(names):
        sys.exit(f"{number} GPUs are needed, and there are {len(names)}: {', '.join(names)}")
    if not (taken := take(names, number)):
        print(f"waiting for {number} of the GPUs {', '.join(names)}", file=sys.stderr, flush=True)
    while not taken:
        time.sleep(WAIT)
        taken = take(names, number)
    print(f"GPUs: {', '.join(taken)}", file=sys.stderr, flush=True)
    return taken


def fixed_device(command: Sequence[str]) -> int | None:
    """Return the number of the GPU that the command names itself: --device cuda:<n>."""
    devices = (value for flag, value in itertools.pairwise(command) if flag == "--device")
    _, _, number = next(devices, "").partition("cuda:")
    return int(number) if number else None


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    names = os.environ.get("VLSELECT_GPUS", "").split(",")
    fixed = fixed_device(arguments.command)
    if names != [""] and arguments.gpus and fixed is not None:
        wait_for(names[fixed : fixed + 1], 1)  # a number among the visible ones, which stay
    elif names != [""]:
        taken = wait_for(names, arguments.gpus) if arguments.gpus else []
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    os.execvp(arguments.command[0], arguments.command)


if __name__ == "__main__":
    main()
