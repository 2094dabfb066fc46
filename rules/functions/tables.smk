"""Tables: which there are, and the flags of what each is made of.

Functions only.
"""


def selects(method):
    """Return whether some experiment selects by this method."""
    return any(run["method"] == method for run in RUNS)


def compares():
    """Return whether there are benchmarks, and every model is finetuned on the full pool too."""
    return bool(TESTED) and experiments.has_references(TRAINED)


def table_files():
    """Return the tables that the config has something to put into."""
    names = ["subset_composition", "subset_overlap", "cost"]
    if budget_tables():
        names += ["budgets"]
    if TESTED and TRAINED:
        names += ["benchmark_scores"]
    if compares():
        names += ["relative_by_seed", "relative_performance", "comparison_with_random"]
    if scored_methods():
        names += ["score_distribution"]
    if selects("icons"):
        names += ["votes_histogram", "task_agreement", "vote_extremes"]
    if selects("coincide"):
        names += ["clusters"]
    paths = [f"<results>/tables/{name}.csv" for name in names]
    return [*paths, *contamination_table()]


def score_paths():
    """Return (method, seed, file) of all scores that subsets of some experiment are chosen by.

    A method has scores where a rule makes scores/<method>/seed-<s>.parquet.
    """
    path = f"{RESULTS}/scores/{{}}/seed-{{}}.parquet".format
    found = [(m, s, path(m, s)) for m in filter(selects, METHODS) for s in seeds_of(m)]
    return [f for f in found if any(r.is_producer(f[2]) for r in workflow.rules)]


def scored_methods():
    """Return the methods of the experiments that leave a score for every sample."""
    return list(dict.fromkeys(method for method, *_ in score_paths()))


def score_files():
    """Return the scores of every seed."""
    return [path for *_, path in score_paths()]


def score_flags():
    """Return a --scores flag for each of them: method, seed and file."""
    flags = [("--scores", method, str(s), path) for method, s, path in score_paths()]
    return shlex.join([word for flag in flags for word in flag])


def run_flags(methods):
    """Return the flags of the methods' subsets, and of the seed of selection of each."""
    names, seeds = subset_names(methods), []
    for name in names:
        method, _, label = name.partition("/")
        seed = label.rpartition("_seed-")[2]
        seeds.append(str(selection_seed(config, section_of(method), seed)))
    return shlex.join(["--runs", *names, "--seeds", *seeds])


def seeded_flags(flag, method, paths):
    """Return the flag, a seed and its files, for every seed of selection of the method's runs."""
    parts = [
        (flag, str(seed), *map(in_results, expand(paths, seed=seed)))
        for seed in seeds_of(method)
    ]
    return shlex.join([word for part in parts for word in part])


def vote_flags():
    """Return the flags of votes and influences by seed, and of the subsets chosen by them."""
    votes = seeded_flags("--votes", "icons", "<results>/votes/seed-{seed}.parquet")
    influence = seeded_flags("--influence", "icons", influence_paths(VOTERS))
    return f"{votes} {influence} {run_flags(['icons'])}"


def cluster_flags():
    """Return the flags of clusters and summaries by seed, and of the subsets chosen by them."""
    folder = "<results>/clusters/seed-{seed}"
    assignments = seeded_flags(
        "--assignments", "coincide", f"{folder}/assignments.parquet"
    )
    summary = seeded_flags("--summary", "coincide", f"{folder}/summary.parquet")
    return f"{assignments} {summary} {run_flags(['coincide'])}"


def benchmark_groups():
    """Return the subtasks and the benchmark that each is a part of, as JSON."""
    tasks = {task: config["tasks"][task].get("group") for task in TESTED}
    return json.dumps({task: group for task, group in tasks.items() if group})
