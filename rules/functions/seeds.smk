"""Seeds of selection: what is made with the seed of each run, and what with one seed for all runs.

Functions only. A section is `gradients` or a method (scripts/vlselect/config/selection_seeds.py).
"""

from vlselect.config.selection_seeds import GRADIENTS, selection_seed, selection_seeds


def of_run(section, paths):
    """Input function: paths whose {seed} is the one that this section has in the job's run."""

    def files(wildcards):
        return expand(paths, seed=selection_seed(config, section, wildcards.seed))

    return files


def section_of(method):
    """The section whose seed moves what a method chooses by."""
    return GRADIENTS if method in NEEDS_VALIDATION else method


def seeds_of(method):
    """Seeds of selection in the runs of a method, each once; the first run's comes first."""
    runs = [run for run in experiment_runs() if run["method"] == method]
    return selection_seeds(config, section_of(method), runs)


def of_runs(method, paths):
    """The paths with each seed of selection that the method's runs have, one seed after another."""
    return [path for seed in seeds_of(method) for path in expand(paths, seed=seed)]


def of_first_run(method, path):
    """A path with the seed of selection of the method's first run; nothing where it has no runs."""
    return of_runs(method, path)[:1]


def influence_paths(tasks):
    """Influences on these tasks; {seed} is left to be filled in."""
    path = "<results>/influence/seed-{seed}/{task}.parquet"
    return expand(path, task=tasks, allow_missing=True)


def run_flags(methods):
    """Flags of the methods' subsets, and of the seed of selection of each."""
    names, seeds = subset_names(methods), []
    for name in names:
        section, seed = section_of(name.partition("/")[0]), name.rpartition("_seed-")[2]
        seeds.append(str(selection_seed(config, section, seed)))
    return shlex.join(["--runs", *names, "--seeds", *seeds])


def seeded_flags(flag, method, paths):
    """The flag, a seed and its files, for every seed of selection that the method's runs have."""
    seeds = seeds_of(method)
    each = len(paths) // len(seeds)
    starts = range(0, len(paths), each)
    parts = [(flag, str(s), *paths[i : i + each]) for s, i in zip(seeds, starts)]
    return shlex.join([word for part in parts for word in part])


def vote_flags(wildcards, input):
    """Flags of votes and influences by seed, and of the subsets that ICONS chose by them."""
    votes = seeded_flags("--votes", "icons", input.votes)
    influence = seeded_flags("--influence", "icons", input.influence)
    return f"{votes} {influence} {run_flags(['icons'])}"


def cluster_flags(wildcards, input):
    """Flags of assignments and summaries by seed, and of the subsets that COINCIDE chose by them."""
    assignments = seeded_flags("--assignments", "coincide", input.assignments)
    summary = seeded_flags("--summary", "coincide", input.summary)
    return f"{assignments} {summary} {run_flags(['coincide'])}"
