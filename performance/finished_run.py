"""Read a finished run's jobs: from Snakemake's log, the benchmark files and the jobs' own logs.

Snakemake's log has times in whole seconds, rounded down. A difference of two is off by up to one,
but not on average.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

_STAMP = re.compile(r"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$")
_JOB = re.compile(r"(?:local)?rule (\w+):$")
_FIELD = re.compile(r"    (input|log|benchmark|jobid): (.+)$")
_FINISHED = re.compile(r"Finished jobid: (\d+) ")
_LOADED = re.compile(r"(\d\d:\d\d:\d\d) INFO vlselect\.\w+\.(loading|clip): loaded (\S+) \(", re.M)


@dataclass
class Job:
    """A job that ran.

    Attributes
    ----------
    begin, end : datetime
        When Snakemake started it and saw it finished, to the second.
    modules : tuple of str
        The script's module and those that the rule names beside it; empty without a script.
    seconds : float
        Wall-clock time in its benchmark file, else from begin to end.
    model : tuple of (str, str) or None
        The module that loaded its first model ("loading" or "clip"), and the path.
    seen : float
        Seconds from its begin until its log says that the model is loaded; NaN without a model.
    """

    rule: str
    begin: datetime
    end: datetime | None = None
    modules: tuple[str, ...] = ()
    seconds: float = float("nan")
    benchmarked: bool = False
    model: tuple[str, str] | None = None
    seen: float = float("nan")
    fields: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Run:
    """All jobs with a script."""

    folder: Path
    jobs: list[Job]

    @property
    def scripts(self) -> Path:
        """Folder of the jobs' scripts."""
        return self.folder / Path(self.jobs[0].fields["input"].split(", ")[0]).parent

    @property
    def idle(self) -> float:
        """Seconds between the first and the last job in which none ran: Snakemake was working."""
        idle, last = 0.0, self.jobs[0].begin
        for job in self.jobs:
            idle += max((job.begin - last).total_seconds(), 0.0)
            last = max(job.end, last)
        return idle

    @property
    def lag(self) -> float:
        """Seconds of jobs, as Snakemake measures them, beyond those in their benchmark files."""
        measured = [job for job in self.jobs if job.benchmarked]
        return sum((job.end - job.begin).total_seconds() - job.seconds for job in measured)


def read_run(results: Path) -> Run:
    """Read a run that one call of Snakemake completed.

    `results` is ``<folder>/results/<run>``; Snakemake's logs are in ``<folder>/.snakemake/log``.

    Raises
    ------
    ValueError
        If there is no log of such a run.
    """
    folder = results.resolve().parents[1]
    logs = sorted((folder / ".snakemake/log").glob("*.log"))
    texts = [path.read_text(encoding="utf-8") for path in logs]
    texts = [text for text in texts if " (100%) done" in text]
    if not texts:
        raise ValueError(f"{folder}: no log of Snakemake contains a complete run")
    text = max(texts, key=lambda text: text.count("Finished jobid: "))
    jobs = [job for job in read_jobs(text.splitlines()) if job.modules]
    for job in jobs:
        _complete(job, folder)
    return Run(folder, jobs)


def read_jobs(lines: Iterable[str]) -> list[Job]:
    """Return the jobs that a log of Snakemake starts and finishes, in the order of their start."""
    started: dict[str, Job] = {}
    stamp, job = None, None
    for line in lines:
        if match := _STAMP.match(line):
            stamp, job = datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y"), None
        elif match := _JOB.match(line):
            job = Job(match[1], stamp)
        elif match := _FINISHED.match(line):
            started[match[1]].end = stamp
        elif job and (match := _FIELD.match(line)):
            job.fields[match[1]] = match[2]
            if match[1] == "jobid":
                started[match[2]] = job
    for job in started.values():
        job.modules = _modules(job.fields.get("input", "").split(", "))
    return [job for job in started.values() if job.end]


def _modules(inputs: list[str]) -> tuple[str, ...]:
    """Return the modules at the head of a job's inputs, where `code()` puts them."""
    code = [path for path in inputs if re.search(r"(^|/)scripts/.+\.py$", path)]
    if not code or code[0] != inputs[0]:
        return ()
    names = [path.rpartition("scripts/")[2].removesuffix(".py").replace("/", ".") for path in code]
    imported = (i for i, name in enumerate(names) if name.endswith(".__init__"))  # sorted: first
    return tuple(names[: next(imported, len(names))])


def _complete(job: Job, folder: Path) -> None:
    """Add the facts in the job's benchmark file and in its own log."""
    job.seconds = (job.end - job.begin).total_seconds()
    if "benchmark" in job.fields:
        lines = (folder / job.fields["benchmark"]).read_text(encoding="utf-8").splitlines()
        job.seconds, job.benchmarked = float(json.loads(lines[-1])["s"]), True
    log = (folder / job.fields["log"]).read_text(encoding="utf-8", errors="replace")
    if match := _LOADED.search(log):
        job.model = (match[2], match[3])
        clock = datetime.strptime(match[1], "%H:%M:%S").time()
        seen = datetime.combine(job.begin.date(), clock) - job.begin
        job.seen = (seen + timedelta(days=seen < timedelta(0))).total_seconds()
