"""Our own: random samples of each task that are likely to be right, more of tasks that are not known yet.

Reads pool/samples.parquet, tasks/<task>/validation.parquet and {losses,pool,<task>,losses_of/<task>,losses_before/<task>}/ of proxy/<model>/seed-<s>/ or, in a config
without that section, of gradients/<model>/seed-<s>/; the seed is the run's, or the one that warm_up.seed fixes there.
Writes subsets/clean_shares/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "clean_shares",
    parameters={
        "within": {
            "description": "samples whose loss is above this quantile of those of their task's validation samples are likely to be wrong, and chosen last (select_clean_shares)",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.9,
        },
        "power": {
            "description": "a task's share of the subset is proportional to the mean loss of its validation samples before the warm-up to this power; 0 for equal shares (select_clean_shares)",
            "type": "number",
            "minimum": 0,
            "default": 0.5,
        },
    },
    needs_validation=True,
    by_proxy=True,
)


# Draw from what each task's validation samples find likely.
use rule select_subset as select_clean_shares with:
    input:
        code=code("select_subset.py", "vlselect/methods/clean_shares.py"),
        samples="<results>/pool/samples.parquet",
        losses=of_run(PROXY, pool_losses(PROXY)),
        gradients=of_run(PROXY, pool_gradients(PROXY)),
        validation=of_run(PROXY, compared_validation(PROXY)),
        validation_losses=of_run(PROXY, validation_losses(PROXY)),
        losses_before=of_run(PROXY, losses_before(PROXY)),
        questions=collect("<results>/tasks/{task}/validation.parquet", task=VALIDATED),
        limits=limit_files,
    wildcard_constraints:
        method="clean_shares",
    threads: config["threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        signals=signal_flags(
            tables=["validation", "validation_losses", "losses_before"],
            task_samples=["questions"],
        ),
        parameters=parameters("clean_shares", "within", "power", tasks=voting_members()),
        threads=config["threads"],
