"""Subsets: which there are, what limits them, which budgets have to be met.

Functions only.
"""


def subset_files():
    """Return the subsets of every experiment; where tasks guide a method, also what the pool has of them."""
    path = "<results>/subsets/{method}/{budget}_seed-{seed}.{suffix}"
    paths = {path.format(**run, suffix=s) for run in RUNS for s in ("json", "parquet")}
    guided = any(run["method"] in NEEDS_VALIDATION for run in RUNS)
    checks = [*budget_checks(), *(contamination_table() if guided else [])]
    return [*checks, *sorted(paths)]


def subset_names(methods):
    """Return the subsets of these methods as they are named below subsets/."""
    return experiments.run_names(RUNS, "{method}/{budget}_seed-{seed}", methods)


def subset_rows(methods):
    """Return the rows of these methods' subsets."""
    return [f"<results>/subsets/{name}.parquet" for name in subset_names(methods)]


def budget_checks():
    """Return what says early that a budget cannot be met; nothing where no method chooses."""
    chosen = experiments.chosen_budgets(RUNS)
    return ["<results>/pool/budgets.json"] if chosen else []


def budget_tables():
    """Return the table of each budget's share of the pool; none where all are ratios."""
    if config["cached"]:
        known = os.path.isfile(f"{RESULTS}/tables/budgets.csv")
        return ["<results>/tables/budgets.csv"] if known else []
    budgets = experiments.distinct(RUNS, "budget")
    ratios = all(budget.startswith("ratio-") for budget in budgets)
    return [] if ratios else ["<results>/tables/budgets.csv"]


def token_model():
    """Return the model that counts tokens."""
    return config["token_model"] or next(iter(config["models"]))


def token_shards():
    """Return the tokens of the pool's samples, as the model sees them that counts."""
    return checked_shards(token_model())


def duplicate_shards():
    """Return the features that near-duplicates are found by."""
    return gather.pool(
        "<results>/features/{model}/{kind}/shard-{scatteritem}.safetensors",
        model=config["constraints"]["duplicates"]["model"],
        kind=config["constraints"]["duplicates"]["kind"],
    )


def id_files():
    """Return (flag, file) of the ids to keep and to exclude."""
    settings = config["constraints"]
    return [(f"--{key}", settings[key]) for key in ("keep", "exclude") if settings[key]]


def pool_summary():
    """Return the counts of the pool's records; none where the pool is given."""
    return [] if "pool" in config["given"] else ["<results>/pool/summary.json"]


def pool_limits():
    """Return the flags of all that the pool has to meet beside the budgets."""
    flags = [part for pair in id_files() for part in pair] + bound_flags()
    if config.get("gate"):
        flags += ["--gate", str(config["gate"]["share"])]
        flags += ["--gate-groups", str(len(VOTERS))]
    limit = config["pool"]["max_rejected"]
    return shlex.join(
        [*flags, *([] if limit is None else ["--max-rejected", str(limit)])]
    )


def pool_checks():
    """Return what says that models may see the pool, which begins with check_samples.

    Not with --cache: what runs share may not depend on the budgets of one of them.
    """
    caches = workflow.workflow_settings.cache is not None
    return (
        [] if caches or "pool" in config["given"] else ["<results>/pool/accepted.json"]
    )


def check_flags(wildcards, input):
    """Return the flags of check_budgets.

    A function of the inputs, which Snakemake does not record: other budgets are no reason to make
    again what depends on the check.
    """
    budgets = ["--budgets", *experiments.chosen_budgets(RUNS)]
    script = os.path.relpath(Path(workflow.basedir, "scripts", "check_budgets.py"))
    return shlex.join([script, *budgets]) + f" {pool_limits()}"


def bound_flags():
    """Return the flags of the bounds of sources."""
    settings = config["constraints"]
    keys = ("minimum", "maximum", "quota")
    bounds = {key: settings[key] for key in keys if settings[key]}
    flags = ["--bounds", json.dumps(bounds, sort_keys=True)] if bounds else []
    return [*flags, *(["--part-of-pool"] if config["trial"] else [])]


def limit_parts(wildcards):
    """Yield (flag, files) of everything beside its signals that a subset depends on."""
    settings = config["constraints"]
    yield from ((flag, [path]) for flag, path in id_files())
    if config.get("gate"):
        gate = of_run(PROXY, "<results>/gate/seed-{seed}.parquet")
        yield "--gate", gate(wildcards)
    if settings["duplicates"] is not None:
        compared = settings["duplicates"]["model"] is not None
        yield "--duplicates", ["<results>/duplicates.parquet"] if compared else []
    if wildcards.budget.startswith("tokens-"):
        yield "--tokens", token_shards()
        yield "--left-out", [f"<results>/features/{token_model()}/left_out.parquet"]


def limit_files(wildcards):
    """Return the files of a subset's constraints, and of its tokens for a budget in tokens."""
    return [path for _, files in limit_parts(wildcards) for path in files]


def limit_flags(wildcards):
    """Return the same as flags, and the bounds of the sources.

    No function of the inputs: Snakemake does not record a parameter that is one, and a changed
    bound would rerun nothing.
    """
    parts = [(flag, *map(in_results, files)) for flag, files in limit_parts(wildcards)]
    return shlex.join([word for part in parts for word in part] + bound_flags())


def unlimited_methods():
    """Return the methods that have constraints, a gate or token budgets, but whose rule has not."""
    limits = [
        *config["constraints"].values(),
        config.get("gate"),
        counts_tokens(config),
    ]
    if not any(limits):
        return []
    rules = {known.name: known for known in workflow.rules}
    chosen = experiments.distinct(RUNS, "method")
    asked = [name for name in chosen if name != "full" and f"select_{name}" in rules]
    return [m for m in asked if "limits" not in rules[f"select_{m}"].input.keys()]
