"""ICONS: samples that many tasks agree on (arXiv 2501.00654).

Reads pool/samples.parquet and votes/seed-<s>.parquet or, for aggregators other than `vote`,
influence/seed-<s>/<task>.parquet; the seed is the run's, or the one that gradients.warm_up.seed fixes.
Writes subsets/icons/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "icons",
    parameters={
        "percentile": {
            "description": "each task votes for its most influential samples, this many percent of the pool (cast_votes)",
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 100,
            "default": 20,
        },
        "aggregator": {
            "description": "how the tasks' influences become one order; single:<task> is a specialist (select_icons)",
            "enum": [
                *("vote", "mean", "max", "mean_rank", "round_robin"),
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

AGGREGATOR = config["methods"]["icons"]["aggregator"]
SPECIALIST = (
    AGGREGATOR.removeprefix("single:") if AGGREGATOR.startswith("single:") else None
)


rule select_icons:
    """Take the samples with the most votes, or the best by another aggregator."""
    input:
        code=code("select_subset.py", "vlselect/methods/icons.py"),
        samples="<results>/pool/samples.parquet",
        votes=of_run(
            "gradients",
            "<results>/votes/seed-{seed}.parquet" if AGGREGATOR == "vote" else [],
        ),
        influence=of_run(
            "gradients",
            influence_paths(
                [] if AGGREGATOR == "vote" else [SPECIALIST] if SPECIALIST else VOTERS
            ),
        ),
        limits=limit_files,
    output:
        records="<results>/subsets/icons/{budget}_seed-{seed}.json",
        rows="<results>/subsets/icons/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_icons/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_icons/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
        parameters=parameters("icons", "aggregator", "tie_break"),
    shell:
        "python {input.code[0]:q} --method icons --samples {input.samples:q} "
        "--signal votes {input.votes:q} --tables influence {input.influence:q} "
        "--parameters {params.parameters:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
