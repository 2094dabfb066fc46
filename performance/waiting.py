"""Measure how long a model waits for samples, with and without helper processes (`workers`).

The job is that of collect_gradients without its file, in wall-clock time: measure it on an idle
machine with a core for each helper. Waiting is the time until the next batch.
"""

import statistics
import time
from functools import partial

import torch
from clocks import write_table
from references import lora_weights

from models import Subject, options, subjects
from vlselect.gradients import projection
from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.models.batching import batches

batches = partial(batches, max_pixels=10**7)

SIZES = {"tiny": 1280, "larger": 128}  # several blocks, since the first always waits
DIM = 5120
WORKERS = (0, 1)


def run(subject: Subject, per_sample: PerSampleGradients, workers: int) -> tuple:
    """Project all samples' gradients; return the seconds, those of waiting, and the sum of all."""
    subject.vlm.workers = workers
    settings = {"seed": 0, "nonzeros": 3, "implementation": "auto", "device": torch.device("cpu")}
    phi = projection.make("shifted", size=per_sample.size, dim=DIM, **settings)
    total, waited = torch.zeros(DIM), 0.0
    begin = last = time.perf_counter()
    rows = range(len(subject.samples))
    for batch in batches(subject.vlm, subject.samples, rows, subject.root):
        waited += time.perf_counter() - last
        accumulator = phi.begin(len(batch))
        per_sample.stream(batch, accumulator.add)
        total += accumulator.result().sum(0)
        last = time.perf_counter()
    return last - begin, waited, total


def measure(subject: Subject, rounds: int) -> list[dict]:
    """Run with and without helpers in turns; the results have to be equal."""
    found: dict[int, list[tuple[float, float]]] = {workers: [] for workers in WORKERS}
    totals = []
    with PerSampleGradients(subject.vlm.model) as per_sample:
        for _ in range(rounds):
            for workers, runs in found.items():
                *seconds, total = run(subject, per_sample, workers)
                runs.append(tuple(seconds))
                totals.append(total)
    if not all(torch.equal(total, totals[0]) for total in totals):
        raise ValueError(f"{subject.name}: helpers changed the gradients")
    n = len(subject.samples)
    return [
        {
            "model": subject.name,
            "workers": workers,
            "samples": n,
            "ms_per_sample": 1e3 * statistics.median(seconds for seconds, _ in runs) / n,
            "waiting": statistics.median(waited / seconds for seconds, waited in runs),
            "rounds": rounds,
        }
        for workers, runs in found.items()
    ]


def main(argv: list[str] | None = None) -> None:
    arguments = options(__doc__, rounds=3).parse_args(argv)
    rows: list[dict] = []
    for subject in subjects(arguments, SIZES):
        lora_weights(subject.vlm.model)
        rows += measure(subject, arguments.rounds)
        write_table(arguments.out / "waiting.csv", rows)


if __name__ == "__main__":
    main()
