"""From two trials to the whole run: what each rule will take.

A job that goes through the share x of the pool takes fixed + slope * x^growth: two trials of
different sizes tell what is fixed (its start, the imports, the model's weights) from what grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlselect.plan.jobs import Job
from vlselect.tables.cost import read_job

NOISE = 0.05  # relative: what two runs of one job differ by
NONE = float("nan")


@dataclass(frozen=True)
class Estimate:
    """What jobs of a rule take; NaN is not known.

    `seconds` and `disk` (bytes) are means of a trial's jobs and totals of a run's, `memory` is
    the bytes of the largest job, `size` the mean share of the pool, or of tasks' sets, of a job.
    """

    seconds: float = NONE
    memory: float = NONE
    disk: float = NONE
    size: float = 1


def measure(jobs: Sequence[Job], pool: float, tasks: float) -> Estimate:
    """Read what a trial's jobs of one rule took, from their benchmarks and files."""
    files = [Path(path) for job in jobs for path in job.benchmark if Path(path).is_file()]
    found = [read_job(path) for path in files]
    return Estimate(
        float(np.mean([cost.wall for cost in found])) if found else NONE,
        max((cost.peak * 1e6 for cost in found if not cost.unsampled), default=NONE),
        sum(_bytes(Path(path)) for job in jobs for path in job.output) / len(jobs),
        float(np.mean([job.size(pool, tasks) for job in jobs])),
    )


def line(
    small: tuple[float, float], large: tuple[float, float], growth: int = 1, noise: float = 0
) -> tuple[float, float]:
    """Return fixed and slope through two points (x, y); where y hardly rises, slope is 0."""
    (x, y), (other, higher) = small, large
    if x == other:
        return higher, 0
    if higher - y <= noise * abs(y):
        return (y + higher) / 2, 0
    slope = (higher - y) / (other**growth - x**growth)
    return y - slope * x**growth, slope


def extrapolate(small: Estimate, large: Estimate, jobs: Sequence[Job]) -> tuple[Estimate, bool]:
    """Return what these jobs of the whole run take, and whether time grew by more than noise."""

    def of_jobs(name: str, growth: int, noise: float) -> tuple[list[float], float]:
        points = [(found.size, getattr(found, name)) for found in (small, large)]
        fixed, slope = line(*points, growth, noise)
        return [fixed + slope * job.size(1, 1) ** growth for job in jobs], slope

    seconds, slope = of_jobs("seconds", jobs[0].growth, NOISE)
    memory, disk = of_jobs("memory", 1, NOISE)[0], of_jobs("disk", 1, 0)[0]
    return Estimate(sum(seconds), max(memory), sum(disk)), slope > 0


def _bytes(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
