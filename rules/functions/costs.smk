"""Costs: what a selection is charged for, every job behind a subset, found in the rules themselves.

Functions only. Pool and tasks are prepared alike for all methods, and the models are given: no
selection is charged for them.
"""

from functools import cache

from snakemake.iocontainers import Wildcards

SHARD = re.compile(r"\d+(-of-\d+)$")


@cache
def jobs_behind(path):
    """Return (rule, its cost file) of each job that a file depends on.

    A job without a cost file goes by its rule, and a file that is given by its stage: there is no
    cost file of that name, so the cost is not known.
    """
    stage = stage_of(path, config["run"])
    if stage is None:
        return frozenset()
    maker = next((known for known in workflow.rules if known.is_producer(path)), None)
    if maker is None:
        known = stage in UNCHARGED or stage not in config["given"]
        return frozenset() if known else frozenset({("", stage)})
    if Path(maker.snakefile).stem in UNCHARGED:
        return frozenset()
    wildcards = Wildcards(fromdict=maker.get_wildcards(path))
    cost = str(maker.expand_benchmark(wildcards) or maker.name)
    cost = cost.removeprefix(f"{RESULTS}/costs/").removesuffix(".jsonl")
    job = (maker.name, cost)
    inputs, *_ = maker.expand_input(wildcards)
    return frozenset({job}.union(*(jobs_behind(str(needed)) for needed in inputs)))


def jobs_of_subset(name):
    """Return the jobs behind a subset, <method>/<budget>_seed-<s>."""
    return jobs_behind(f"{RESULTS}/subsets/{name}.parquet")


def selection_jobs(wildcards):
    """Return the cost files behind every subset, as JSON: [subsets, files] of those that share them.

    `{subset}` stands for the subset's <budget>_seed-<s>, `*` for the number of every shard.
    """
    groups = {}
    for name in subset_names(METHODS):
        label = name.rpartition("/")[2]
        costs = {cost.replace(label, "{subset}") for *_, cost in jobs_of_subset(name)}
        shared = sorted({SHARD.sub(r"*\1", cost) for cost in costs})
        groups.setdefault(tuple(shared), []).append(name)
    return json.dumps([[names, files] for files, names in groups.items()])
