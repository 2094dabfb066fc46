"""Budgets and constraints: how much each experiment chooses, the runs that follow, what limits them.

Functions only, for common.smk and the rules.
"""

BUDGETS = ("ratios", "samples", "tokens")


def ratio_label(ratio):
    """A ratio as it stands in paths: 0.2, 1.0."""
    whole, _, fraction = f"{ratio:.6f}".partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def expand_budgets(experiment):
    """Give an experiment the config's budgets if it names none of its own, and 0.2 if nobody does."""
    own = experiment if any(key in experiment for key in BUDGETS) else config
    given = {key: list(own.get(key, [])) for key in BUDGETS}
    if not any(given.values()):
        given["ratios"] = [0.2]
    experiment.update(given)


def budget_labels(experiment):
    """The budgets of an experiment as they stand in paths: ratio-0.2, samples-1000, tokens-2000000."""
    return [
        *(f"ratio-{ratio_label(ratio)}" for ratio in experiment["ratios"]),
        *(f"samples-{int(count)}" for count in experiment["samples"]),
        *(f"tokens-{int(count)}" for count in experiment["tokens"]),
    ]


def experiment_runs():
    """Every (model, method, budget, seed) that some experiment asks for, once; full is at 1.0."""
    runs = {}
    for experiment in config["experiments"].values():
        for method in experiment["methods"]:
            full = method == "full"
            for model in experiment["models"]:
                for budget in ["ratio-1.0"] if full else budget_labels(experiment):
                    for seed in experiment["seeds"]:
                        runs[model, method, budget, seed] = None
    return [dict(zip(("model", "method", "budget", "seed"), run)) for run in runs]


def counts_tokens():
    """Whether some experiment has a budget in tokens."""
    return any(experiment["tokens"] for experiment in config["experiments"].values())


def all_budgets(chosen=False):
    """Every budget that some run has, once, as in the paths; or that some method has to meet."""
    runs = experiment_runs()
    known = [r["budget"] for r in runs if r["method"] != "full" or not chosen]
    return list(dict.fromkeys(known))


def budget_checks():
    """What tells early that a budget cannot be met; nothing where no method chooses."""
    return ["<results>/pool/budgets.json"] if all_budgets(chosen=True) else []


def budget_tables():
    """The table that says what share of the pool each budget is; none where all are ratios."""
    ratios = all(budget.startswith("ratio-") for budget in all_budgets())
    return [] if ratios else ["<results>/tables/budgets.csv"]


def token_shards():
    """Tokens of the pool's samples, as the model sees them that counts."""
    model = config["token_model"] or next(iter(config["models"]))
    return gather.pool(
        "<results>/pool/tokens/{model}/shard-{scatteritem}.parquet", model=model
    )


def duplicate_shards():
    """Features that near-duplicates are found by."""
    return gather.pool(
        "<results>/features/{model}/{kind}/shard-{scatteritem}.safetensors",
        model=config["constraints"]["duplicates"]["model"],
        kind=config["constraints"]["duplicates"]["kind"],
    )


def id_files():
    """(flag, file) of the ids to keep and to exclude."""
    given = config["constraints"]
    return [(f"--{key}", given[key]) for key in ("keep", "exclude") if given[key]]


def bound_flags():
    """Flags of the bounds of sources."""
    given = config["constraints"]
    bounds = {key: given[key] for key in ("minimum", "maximum", "quota") if given[key]}
    flags = ["--bounds", json.dumps(bounds, sort_keys=True)] if bounds else []
    return [*flags, *(["--part-of-pool"] if config["trial"] else [])]


def limit_parts(wildcards):
    """(flag, files) of everything beside its signals that a subset depends on."""
    settings = config["constraints"]
    yield from ((flag, [path]) for flag, path in id_files())
    if settings["duplicates"] is not None:
        compared = settings["duplicates"]["model"] is not None
        yield "--duplicates", ["<results>/duplicates.parquet"] if compared else []
    if wildcards.budget.startswith("tokens-"):
        yield "--tokens", token_shards()


def limit_files(wildcards):
    """Inputs of a select rule: files of its constraints, and tokens for a budget in tokens."""
    return [path for _, files in limit_parts(wildcards) for path in files]


def limit_flags(wildcards, input):
    """The same as flags, and the bounds of the sources."""
    paths, flags = iter(input.limits), []
    for flag, files in limit_parts(wildcards):
        flags += [flag, *(next(paths) for _ in files)]
    return shlex.join([*flags, *bound_flags()])


def unlimited_methods():
    """Methods that are asked to keep constraints, or token budgets, but whose rule cannot."""
    if not any(config["constraints"].values()) and not counts_tokens():
        return []
    rules = {known.name: known for known in workflow.rules}
    chosen = dict.fromkeys(run["method"] for run in experiment_runs())
    asked = [name for name in chosen if name != "full" and f"select_{name}" in rules]
    return [m for m in asked if "limits" not in rules[f"select_{m}"].input.keys()]
