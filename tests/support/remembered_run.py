"""A finished run of which Snakemake remembers everything, and whose files are empty.

What is to be done after a change of the config is for Snakemake to say: it compares what it noted
of each job (parameters, inputs, command) with what the job would be now. None is run; its outputs
are touched, and Snakemake notes the job as if it had been.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import yaml
from parsed_rules import ParsedRules
from running import ROOT
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    ExecutionSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

DATA = ("pool", "more", "validation", "test", "questions", "answers", "splits")  # .json
MODELS = ("model", "clip", "other")
compile_once = cache(compile)  # rule files, which a change of the config leaves as they are


@dataclass(frozen=True)
class Work:
    """What Snakemake would do.

    first : frozenset of (str, frozenset of (str, str))
        Rule and wildcards of the jobs that a change reaches first: no job that it
        changes stands before them. All others follow from these.
    count, total : int
        Jobs to be done, and jobs that there are.
    """

    first: frozenset[tuple[str, frozenset[tuple[str, str]]]]
    count: int
    total: int

    @property
    def rules(self) -> set[str]:
        """Rules of the first jobs."""
        return {rule for rule, _ in self.first}


class RememberedRun:
    """A folder with the inputs of every_key.yaml, empty too, in which runs are remembered."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "parsed").mkdir()
        self.parsed = ParsedRules(folder / "parsed")
        for name in DATA:
            path = folder / f"data/{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('[{"id": "a"}]')
        for name in ("questions.tsv", "ids.txt", "others.txt"):
            (folder / "data" / name).touch()
        for name in (*MODELS, "images", "pictures"):
            (folder / "data" / name).mkdir()

    def run(self, config: Mapping, targets: Iterable[str]) -> Work:
        """Return what there is to do for these targets, and remember it as done."""
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
        quiet = OutputSettings(quiet={Quietness.ALL})
        with (
            SnakemakeApi(quiet) as api,
            patch("snakemake.workflow.parse", self.parsed),
            patch("snakemake.workflow.compile", compile_once, create=True),
        ):
            described = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[path]),
                snakefile=ROOT / "Snakefile",
                workdir=self.folder,
            )
            described.dag(DAGSettings(targets=set(targets), max_checksum_file_size=0))
            workflow = described._workflow
            workflow.execution_settings = ExecutionSettings()
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
            workflow._build_dag()
            work = inspect(workflow)
            workflow.async_run(remember(workflow))
        return work


def inspect(workflow) -> Work:
    """Find the jobs that a change reaches first; check that those after them are to be done too."""
    dag, memory = workflow.dag, workflow.persistence
    jobs = [job for job in dag.jobs if job.output]
    changed = {
        job
        for job in jobs
        if not memory.has_metadata(job)
        or memory.params_changed(job)
        or any(memory.input_changed(job))
        or any(memory.code_changed(job))
    }
    # provenance.json says the whole config: it follows every change, and the costs follow it.
    provenance = {job for job in changed if job.rule.name == "write_provenance"}
    after = following(dag, changed - provenance)
    to_do = {job for job in dag.needrun_jobs() if job.output}
    expected = changed | after | following(dag, provenance)
    assert to_do == expected, sorted(job.rule.name for job in to_do ^ expected)
    first = changed - provenance - after
    named = ((job.rule.name, frozenset(job.wildcards_dict.items())) for job in first)
    return Work(frozenset(named), len(to_do), len(jobs))


def following(dag, jobs: set) -> set:
    """Return the jobs that need an output of these, or of one that does."""
    below = {job for known in jobs for job in dag.depending[known]}
    return {job for job in dag.bfs(dag.depending, *below) if job.output}


async def remember(workflow) -> None:
    """Touch the outputs of the jobs that are to be done, in their order, and note them as done."""
    workflow.iocache.deactivate()
    to_do = set(workflow.dag.needrun_jobs())
    for level in list(workflow.dag.toposorted()):
        for job in (job for job in level if job in to_do and job.output):
            for file in job.output:
                file.touch_or_create()
            await workflow.persistence.finished(job)
