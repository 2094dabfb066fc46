"""Measure our pass where freed memory goes back to the system, and where the process keeps it.

Each run is a process of its own, since the choice holds for a process; the two take turns. Times
are processor seconds, including those that the system takes to clear pages.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from clocks import ratio, write_table
from per_sample_gradients import SIZES, STRIDE, stream

from models import make, options
from vlselect.core.kept_memory import keep_freed_memory
from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.models.batching import by_length

KEPT = (False, True)


def run_alone(name: str, n: int, kept: bool) -> dict[str, float]:
    """Measure the cost of a sample in one pass over a model's batches, after an untimed pass."""
    torch.set_num_threads(1)
    if kept:
        keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        subject = make(name, Path(folder) / name, n)
        chunks = list(by_length(subject.encode(), subject.vlm.batch_size))[:: STRIDE[name]]
        batches = [subject.vlm.collate(chunk) for chunk in chunks]
        with PerSampleGradients(subject.vlm.model) as per_sample:
            stream(per_sample, batches)
            begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF)
            stream(per_sample, batches)
            seconds, after = time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF)
    samples = sum(map(len, chunks))
    return {
        "samples": samples,
        "seconds": seconds,
        "page_faults": (after.ru_minflt - before.ru_minflt) / samples,
        "peak_gib": after.ru_maxrss / 2**20,
    }


def measure(name: str, n: int, rounds: int) -> list[dict]:
    """Return the rows of a model: without and with kept memory, in turns; medians."""
    runs: dict[bool, list[dict]] = {kept: [] for kept in KEPT}
    for _ in range(rounds):
        for kept, own in runs.items():
            program = [sys.executable, __file__, "--alone", name, str(n), str(int(kept))]
            own.append(json.loads(subprocess.check_output(program, stderr=subprocess.DEVNULL)))
    seconds = {kept: [run["seconds"] for run in own] for kept, own in runs.items()}
    return [
        {
            "model": name,
            "kept": kept,
            "samples": own[0]["samples"],
            "ms_per_sample": 1e3 * statistics.median(seconds[kept]) / own[0]["samples"],
            "times_not_kept": ratio(seconds[kept], seconds[False]),
            "page_faults_per_sample": statistics.median(run["page_faults"] for run in own),
            "peak_gib": statistics.median(run["peak_gib"] for run in own),
            "rounds": rounds,
        }
        for kept, own in runs.items()
    ]


def main(argv: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--alone", nargs=3, metavar=("MODEL", "SAMPLES", "KEPT"))
    arguments = parser.parse_args(argv)
    if arguments.alone:
        name, n, kept = arguments.alone
        print(json.dumps(run_alone(name, int(n), kept == "1")))
        return
    rows: list[dict] = []
    for name in arguments.models:
        rows += measure(name, arguments.samples or SIZES[name], arguments.rounds)
        write_table(arguments.out / "kept_memory.csv", rows)


if __name__ == "__main__":
    main()
