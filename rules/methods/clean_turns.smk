"""Our own: turns of validation samples (`targeted`), at samples that are not gated by their loss.

Reads pool/samples.parquet and gradients/<model>/seed-<s>/{losses,pool,<task>}/; the seed is the run's,
or the one that gradients.warm_up.seed fixes.
Writes subsets/clean_turns/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "clean_turns",
    parameters={
        "share": {
            "description": "share of each task's own samples, those with the highest loss under the warmed-up model, that are chosen last (select_clean_turns)",
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "default": 0.2,
        },
    },
    needs_validation=True,
)


# Let the validation samples choose in turn among what is likely to be right.
use rule select_subset as select_clean_turns with:
    input:
        code=code("select_subset.py", "vlselect/methods/clean_turns.py"),
        samples="<results>/pool/samples.parquet",
        losses=of_run("gradients", pool_losses()),
        gradients=of_run("gradients", pool_gradients()),
        validation=of_run("gradients", compared_validation()),
        limits=limit_files,
    wildcard_constraints:
        method="clean_turns",
    threads: config["threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        signals=signal_flags(tables=["validation"]),
        parameters=parameters("clean_turns", "share", tasks=voting_members()),
        threads=config["threads"],
