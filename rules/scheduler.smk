"""Spares Snakemake work that grows with the number of jobs that have ended. Reads and writes nothing."""

# Snakemake's own, where nobody sets another: submissions, in so many seconds.
DEFAULT_LIMIT = (100, 1)


onstart:
    # While jobs wait for a core, Snakemake 9.27 looks through them when a job ends, and again each time
    # that the limit's seconds have passed, once for every look before: the looks add up, to seconds of
    # work in each second where hundreds of jobs have ended. Without a limit it looks when a job ends.
    limiter = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limiter and (limiter.max_jobs, limiter.timespan) == DEFAULT_LIMIT:
        workflow.scheduler.job_rate_limiter = None
