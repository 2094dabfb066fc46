"""Faults and gaps of Snakemake 9.27 that this workflow goes round, each with its upstream issue.

Reads and writes nothing. tests/workflow/test_workarounds.py fails when one is no longer needed.
"""

import shutil
import sys
from pathlib import Path

from snakemake.caching.local import OutputFileCache
from snakemake.caching.rule import RuleCache

# 1. The extended benchmark files say how many GPUs and processes each job had
# (vlselect/tables/cost.py), but only the command line can ask for them, not a workflow.
# No issue found on 2026-11-28.
workflow.output_settings.benchmark_extended = True


# 2. With a limit on submissions, and there always is one, a job that ends while others wait
# for a core makes Snakemake look through the waiting jobs once more after the limit's seconds, and
# each look makes another: seconds of work in each second where hundreds of jobs have ended.
# https://github.com/snakemake/snakemake/pull/3744 (open)
NO_LIMIT_ASKED = (100, 1)  # Snakemake's own: submissions, in so many seconds


def lift_default_limit():
    """Drop the limit on submissions where none was asked for."""
    limiter = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limiter and (limiter.max_jobs, limiter.timespan) == NO_LIMIT_ASKED:
        workflow.scheduler.job_rate_limiter = None


# 3. The Slurm plugin waits with an array until all jobs of its rule have come that are ready. Snakemake
# hands out no more than --jobs allows and takes those for submitted: none ever is, and the run stands
# still without a word. Jobs of a rule that was asked to be arrays are submitted one by one.
# https://github.com/snakemake/snakemake-executor-plugin-slurm/issues/473 (open)
def drop_arrays():
    """Submit each job on its own, also where an own profile asks for arrays."""
    executor = getattr(workflow.scheduler, "_executor", None)
    if getattr(executor, "array_jobs", None):
        executor.array_jobs = set()
        message = "slurm-array-jobs is ignored: arrays can wait for ever (rules/workarounds.smk)"
        print(message, file=sys.stderr)


# 5. Where two runs make the same folder for one `--cache`, the second is moved into the first: all who
# take it from there get a folder within the folder. What is there already is taken instead.
# No issue found on 2026-11-29.
def store_once():
    """Let a job whose outputs another run has put into the cache meanwhile take those."""
    cache = workflow.output_file_cache
    if not isinstance(cache, OutputFileCache):
        return

    async def store(job, put=cache.store):
        if not await cache.exists(job):
            return await put(job)
        for path in job.output:
            shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
        await cache.fetch(job)

    cache.store = store


def apply_at_start():
    """Apply the workarounds that need the list of jobs: called when it is known (screen.smk)."""
    lift_default_limit()
    drop_arrays()
    store_once()


# 4. With `--cache` (docs/operations.md) runs share what models make of the data: each result
# lies in $SNAKEMAKE_OUTPUT_CACHE under a digest of code, parameters and inputs (so a job's shard has
# to be among its parameters). Snakemake refuses rules that have both a benchmark file and `cache:`,
# instead of leaving the file out of what it takes from the cache: with `--cache` these rules have none.
# https://github.com/snakemake/snakemake/issues/2238 (open)
SHARED = {
    *("extract_features", "extract_attention", "extract_clip", "check_samples"),
    *("extract_representation", "extract_validation_representation"),
    "extract_visual",
    *("extract_gains", "extract_instruction_gains", "extract_signatures"),
    *("warm_up", "collect_gradients", "collect_validation_gradients"),
}

if workflow.workflow_settings.cache is not None:
    for known in workflow.rules:
        if known.name in SHARED:
            known._benchmark = None
            known.cache = RuleCache.from_rule(known, True)
