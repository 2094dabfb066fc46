"""What is reported: which tables and figures there are, and what each is made of.

Functions only, for tables.smk and figures.smk.
"""


def selects(method):
    """Whether some experiment selects by this method."""
    return any(run["method"] == method for run in experiment_runs())


def score_paths():
    """(method, seed, file) of all scores that subsets of some experiment are chosen by.

    A rule that writes scores/<method>/seed-<s>.parquet is all that it takes.
    """
    found = []
    outputs = [str(path) for known in workflow.rules for path in known.output]
    for method in filter(selects, METHODS):
        folder = f"results/{config['run']}/scores/{method}/"
        for path in outputs:
            if path.startswith(folder) and path.endswith(".parquet"):
                found += [
                    (method, str(seed), re.sub(r"\{seed\b[^}]*\}", str(seed), path))
                    for seed in seeds_of(method)
                ]
    return found


def scored_methods():
    """Methods of the experiments that leave a score for every sample."""
    return list(dict.fromkeys(method for method, *_ in score_paths()))


def score_files():
    """The scores of every seed."""
    return [path for *_, path in score_paths()]


def score_flags(wildcards, input):
    """A --scores flag for each of them: method, seed and file."""
    return shlex.join([p for path in score_paths() for p in ("--scores", *path)])


def first_scores():
    """{method: file} of the scores of each method's first seed."""
    return {method: path for method, _, path in reversed(score_paths())}


def first_score_flags(wildcards, input):
    """A --scores flag for each of them: method and file."""
    return shlex.join(
        [p for pair in first_scores().items() for p in ("--scores", *pair)]
    )


def compares():
    """Whether there are benchmarks, and every model is also finetuned on the full pool."""
    runs = experiment_runs()
    full = {run["model"] for run in runs if run["method"] == "full"}
    return bool(TESTED and runs) and full == {run["model"] for run in runs}


def table_flags(wildcards, input):
    """The tables among a figure's inputs, as flags named like them."""
    pairs = [(f"--{name}", path) for name, path in input.items() if name != "code"]
    return shlex.join([part for pair in pairs for part in pair])


def figure_files():
    """The figures that the config has something to draw in."""
    if config["cached"]:
        return figure_paths(cached_figures())
    names = ["composition", "overlap"]
    if compares():
        names += ["relative_performance", "performance_by_ratio", "cost"]
    if scored_methods():
        names += ["score_distribution"]
    if selects("icons"):
        names += ["votes", "task_agreement", "contact_sheet"]
    if selects("coincide"):
        names += ["clusters"]
    return figure_paths(names)


def figure_paths(names):
    """Both files of each figure."""
    return [
        f"<results>/figures/{name}.{suffix}"
        for name in names
        for suffix in ("png", "svg")
    ]


def cached_figures():
    """The figures of which a cached run holds all tables: those that the plot rule reads."""
    names = []
    for known in workflow.rules:
        tables = [path for name, path in known.input.items() if name != "code"]
        if known.name.startswith("plot_") and all(map(os.path.isfile, tables)):
            names.append(known.name.removeprefix("plot_"))
    if not names:
        raise WorkflowError(
            f"The config says that run {config['run']!r} is cached, but"
            f" results/{config['run']}/tables holds all the tables of no figure."
        )
    return names


def costs_folder(wildcards):
    """Where the benchmark files lie: not an input, and pathvars are filled into paths only."""
    return f"results/{config['run']}/costs"


def subsets_folder(wildcards, input):
    """The folder of the subsets, <method>/<name>.parquet."""
    return Path(input.subsets[0]).parents[1]


def benchmarks_folder(wildcards, input):
    """The folder of the benchmarks; the last of them are majority/<task>.{json,parquet}."""
    return Path(input.scores[-1]).parents[1]


def run_names(pattern, methods):
    """The runs of these methods, named by a pattern, each once; `full` comes first."""
    runs = sorted(experiment_runs(), key=lambda run: run["method"] != "full")
    names = [pattern.format(**run) for run in runs if run["method"] in methods]
    return list(dict.fromkeys(names))


def subset_names(methods):
    """Subsets of these methods as they are named below subsets/."""
    return run_names("{method}/{budget}_seed-{seed}", methods)


def subset_rows(methods):
    """The rows of these methods' subsets."""
    return [f"<results>/subsets/{name}.parquet" for name in subset_names(methods)]


def checkpoint_names():
    """Checkpoints of every experiment as they are named below checkpoints/ and benchmarks/."""
    return run_names("{model}/{method}/{budget}_seed-{seed}", METHODS)


def benchmark_names():
    """All that is scored: the checkpoints, each model as it comes, and the majority answer."""
    models = dict.fromkeys(run["model"] for run in experiment_runs())
    untrained = [f"{model}/pretrained/ratio-0.0_seed-0" for model in models]
    return [*checkpoint_names(), *untrained, "majority"]


def scores(names, suffix="json"):
    """The scores of these runs on every task; with "parquet", those of each question."""
    return [
        f"<results>/benchmarks/{name}/{task}.{suffix}"
        for name in names
        for task in TESTED
    ]


def benchmark_groups(wildcards):
    """Subtasks and the benchmark that each is a part of, as JSON."""
    tasks = {task: config["tasks"][task].get("group") for task in TESTED}
    return json.dumps({task: group for task, group in tasks.items() if group})


def coincide_temperature(wildcards):
    """Temperature of COINCIDE's allocation."""
    return config["methods"]["coincide"]["temperature"]


def table_files():
    """The tables that the config has something to put into."""
    names = ["subset_composition", "subset_overlap", "cost"]
    if budget_tables():
        names += ["budgets"]
    if TESTED and experiment_runs():
        names += ["benchmark_scores"]
    if compares():
        names += ["relative_by_seed", "relative_performance", "comparison_with_random"]
    if scored_methods():
        names += ["score_distribution"]
    if selects("icons"):
        names += ["votes_histogram", "task_agreement", "vote_extremes"]
    if selects("coincide"):
        names += ["clusters"]
    return [f"<results>/tables/{name}.csv" for name in names]
