"""The jobs of a run as a dry run of Snakemake lists them: all that a plan knows of the workflow."""

import re
from dataclasses import dataclass, field

_RULE = re.compile(r"(?:local)?rule (\w+):")
_FIELD = re.compile(r" {4}(input|output|benchmark|resources): (.*)")
_AMOUNT = re.compile(r"\b(gpu|growth)=(\d+)")
_SHARDS = re.compile(r"shard-\d+-of-(\d+)\.")
_TASK = re.compile(r"results/[^/]+/tasks/")


@dataclass
class Job:
    """One job; `growth` is the exponent of the samples in its time, a resource of its rule."""

    input: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    benchmark: list[str] = field(default_factory=list)
    gpu: int = 0
    growth: int = 1

    def size(self, pool: float, tasks: float) -> float:
        """Return the share of the pool that it reads, or of tasks' sets if it reads those."""
        of_tasks = any(_TASK.match(path) for path in [*self.input, *self.output])
        of_pool = any(path.endswith("/pool/samples.parquet") for path in self.input)
        shards = _SHARDS.search(" ".join(self.output))
        return (tasks if of_tasks and not of_pool else pool) / int(shards[1] if shards else 1)


def read_jobs(text: str) -> dict[str, list[Job]]:
    """Read each rule's jobs from what ``snakemake -n`` (9.27) prints; rules without output go.

    Jobs that do not wait for each other come in any order there; here rules are in order of the
    longest chain of jobs that leads to them, then of their names.
    """
    listed: list[tuple[str, Job]] = []
    job = Job()
    for line in text.splitlines():
        if start := _RULE.fullmatch(line):
            job = Job()
            listed.append((start[1], job))
        elif (found := _FIELD.fullmatch(line)) and found[1] == "resources":
            vars(job).update({key: int(n) for key, n in _AMOUNT.findall(found[2])})
        elif found:
            setattr(job, found[1], found[2].split(", "))
    chain: dict[str, int] = {}  # jobs that lead to a file, itself included
    rules: dict[str, list[Job]] = {}
    longest: dict[str, int] = {}
    for rule, job in listed:
        length = 1 + max((chain.get(path, 0) for path in job.input), default=0)
        chain |= dict.fromkeys(job.output, length)
        rules.setdefault(rule, []).append(job)
        longest[rule] = max(longest.get(rule, 0), length)
    order = sorted(rules, key=lambda rule: (longest[rule], rule))
    return {rule: rules[rule] for rule in order if rules[rule][0].output}
