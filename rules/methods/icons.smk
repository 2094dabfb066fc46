"""ICONS: samples that many tasks agree on (arXiv 2501.00654).

Reads pool/samples.parquet and votes/seed-<s>.parquet or, for aggregators other than `vote`,
influence/seed-<s>/<task>.parquet or the gradients themselves; the seed is the run's, or the one that
gradients.warm_up.seed fixes.
Writes subsets/icons/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "icons",
    parameters={
        "top_percent": {
            "description": "each task votes for its most influential samples, the top so many percent of the pool (cast_votes)",
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 100,
            "default": 20,
        },
        "aggregator": {
            "description": "how the tasks' influences become one order; single:<task> is a specialist; round_robin and bids go by single validation samples, as in `targeted` (select_icons)",
            "enum": [
                *("vote", "mean", "max", "mean_rank"),
                *("round_robin", "round_robin_tasks", "bids"),
                *(f"single:{task}" for task in [*VALIDATED, *GROUPS]),
            ],
            "default": "vote",
        },
        "tie_break": {
            "description": "between equal scores: mean_rank over the tasks then sample id, or the pool's order (select_icons)",
            "enum": ["mean_rank", "index"],
            "default": "mean_rank",
        },
        "keep_matrix": {
            "description": "also write the influence of every single validation sample (compute_influence)",
            "type": "boolean",
            "default": False,
        },
    },
    needs_validation=True,
)


# Take the samples with the most votes, or the best by another aggregator.
use rule select_subset as select_icons with:
    input:
        code=code("select_subset.py", "vlselect/methods/icons.py"),
        samples="<results>/pool/samples.parquet",
        votes=of_run("gradients", consensus_votes()),
        influence=of_run("gradients", chosen_influence("icons")),
        gradients=of_run("gradients", chosen_gradients("icons")),
        validation=of_run("gradients", chosen_validation("icons")),
        limits=limit_files,
    wildcard_constraints:
        method="icons",
    params:
        signals=signal_flags(tables=["influence", "validation"]),
        parameters=parameters(
            "icons", "aggregator", "tie_break", tasks=voting_members()
        ),
