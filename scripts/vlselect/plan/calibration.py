"""Short measurements that a plan is made from: the rules' own scripts on few samples, plain rates.

Every script runs in a process of its own: on a few samples to warm it up, on the same again, then
on more. The time of one sample is the slope between the last two; all else is the fixed cost of a
job, which has no warm-up in it: seconds where a job takes minutes.
"""

import importlib
import logging
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vlselect.core import log
from vlselect.core.store import ShardedArray
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

SIDE = 1024  # of the matrices that are multiplied
VALUES = 1 << 23  # that are read, cast and sorted
REPEATS = 3
NUMBER = re.compile(r"\b\d+\b")  # of samples, in what is timed


class Stopwatch(logging.Handler):
    """Catches the seconds that `log.timed` logs while a script runs, by what was timed."""

    def __init__(self):
        super().__init__()
        self.seconds: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the seconds of a line of `log.timed`."""
        if record.funcName == "timed" and isinstance(record.args, tuple):
            self.seconds[str(record.args[0])] = float(record.args[1])


def run_script(script: str, argv: Sequence[str]) -> dict:
    """Run a script's main in this process.

    Returns
    -------
    dict
        ``wall`` seconds; ``timed``, seconds by what the script timed of its work on samples.
    """
    module = importlib.import_module(script)
    watch, source = Stopwatch(), logging.getLogger(log.__name__)
    source.addHandler(watch)
    begin = time.perf_counter()
    try:
        module.main([str(value) for value in argv])
    finally:
        source.removeHandler(watch)
    return {"wall": time.perf_counter() - begin, "timed": watch.seconds}


def measure(
    script: str, argvs: Sequence[Sequence[str]], counts: Sequence[int] | Mapping[str, Sequence[int]]
) -> dict:
    """Run a script on a few samples and on more, in a process of its own.

    Parameters
    ----------
    script : str
        Module name, as ``extract_features``.
    argvs : two sequences of str
        Its arguments for the smaller and the larger number of samples.
    counts : two ints, or mapping of str to two ints
        Those numbers; where a script times several tasks, by task.

    Returns
    -------
    dict
        ``fixed`` seconds of a job; ``each``, seconds of a sample; ``tasks``, the same by what was
        timed; ``memory`` and ``gpu_memory``, bytes at most. Only ``error`` if the script failed.
    """
    context = multiprocessing.get_context("fork")  # what is imported already stays so
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, script, argvs))
    process.start()
    sender.close()
    try:
        found = receiver.recv()
    except EOFError:
        found = {"error": "the process was killed, maybe for want of memory"}
    process.join()
    if "error" in found:
        return found
    small, large = found.pop("runs")
    return found | slopes(small, large, counts)


def slopes(small: dict, large: dict, counts: Sequence[int] | Mapping[str, Sequence[int]]) -> dict:
    """Divide two runs into a fixed part and one for each sample.

    Where noise makes the smaller run the slower one, the larger one's mean stands for the slope.
    """
    tasks, fixed = {}, large["wall"]
    before = {NUMBER.sub("", what): seconds for what, seconds in small["timed"].items()}
    for what, seconds in large["timed"].items():
        task = what.partition(":")[0]
        few, many = counts[task] if isinstance(counts, Mapping) else counts
        rise = seconds - before.get(NUMBER.sub("", what), seconds)
        tasks[task] = rise / (many - few) if rise > 0 and many > few else seconds / many
        fixed -= tasks[task] * many
    return {"fixed": max(0.0, fixed), "each": sum(tasks.values()), "tasks": tasks}


def _child(sender, script: str, argvs: Sequence[Sequence[str]]) -> None:
    """Run a script on both sizes and send what was found."""
    try:
        run_script(script, argvs[0])
        found = {"runs": [run_script(script, argv) for argv in argvs], "gpu_memory": _gpu_peak()}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sender.send(found | {"memory": peak * 1024})
    except BaseException as error:  # noqa: BLE001 (whatever a script ends with is reported)
        logger.warning("%s: %s", script, traceback.format_exc())
        sender.send({"error": f"{type(error).__name__}: {error}"})


def _gpu_peak() -> int:
    """Bytes of GPU memory that this process held at most; 0 where it used none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.max_memory_reserved())


def seconds_of(action: Callable[[], object]) -> float:
    """Shortest of a few runs of an action, after one that does not count."""
    action()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)


def machine_rates(scratch: Path, samples: Samples, script: Path) -> dict[str, float]:
    """Measure what `planning.Rates` holds, with the threads that the environment gives.

    Parameters
    ----------
    scratch : Path
        Folder on the disk that the results will lie on.
    samples : Samples
        Some of the pool's, to read records of.
    script : Path
        An entry script without a model, whose start is timed.
    """
    rng = np.random.default_rng(0)
    half = rng.random(VALUES, dtype=np.float32).astype(np.float16)
    matrix = rng.random((SIDE, SIDE), dtype=np.float32)
    wide, keys, rows = matrix.astype(np.float64), rng.random(VALUES >> 3), range(len(samples))
    operations = 2.0 * SIDE**3
    return {
        "single": operations / seconds_of(lambda: matrix @ matrix),
        "double": operations / seconds_of(lambda: wide @ wide),
        "read": half.nbytes / read_seconds(scratch / "read.bin", half.tobytes()),
        "cast": VALUES / seconds_of(lambda: np.isfinite(half.astype(np.float32)).all()),
        "sort": (VALUES >> 3) / seconds_of(lambda: np.argsort(keys, kind="stable")),
        "records": len(rows) / seconds_of(lambda: list(Samples(samples.path).raw(rows))),
        "start": seconds_of(lambda: _start(script)),
    }


def _start(script: Path) -> None:
    command = [sys.executable, str(script), "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def read_seconds(path: Path, content: bytes) -> float:
    """Seconds to read a file that is not in the page cache, as far as the system lets go of it."""
    path.write_bytes(content)
    times = []
    for _ in range(REPEATS):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            begin = time.perf_counter()
            file.read()
            times.append(time.perf_counter() - begin)
    path.unlink()
    return min(times)


def array_columns(path: Path) -> int:
    """Columns of a shard."""
    return int(ShardedArray([path]).shape[1])


def folder_bytes(path: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def device_name(device: str) -> dict[str, str]:
    """Name what a model with this `device` runs on: kind (gpu or cpu) and name."""
    from vlselect.models.loading import pick_device

    picked = pick_device(device)
    if picked.type == "cuda":
        import torch

        return {"kind": "gpu", "name": torch.cuda.get_device_name(picked)}
    return {"kind": "cpu", "name": _cpu_name()}


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'CPU'}, {os.environ.get('OMP_NUM_THREADS', 'all')} thread(s)"
