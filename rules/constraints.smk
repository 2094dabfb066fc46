"""Whether budgets and constraints can be met, and the data that they need.

Reads pool/samples.parquet, features/<model>/checked/ (tokens) and features; writes
pool/budgets.json (samples of each budget) and, only where they are asked for, duplicates.parquet
(row_a, row_b, cosine) and tables/budgets.csv.
"""


rule check_budgets:
    """Check that subsets of this pool can meet budgets and constraints, before any model is run."""
    input:
        code=code("check_budgets.py"),
        samples="<results>/pool/samples.parquet",
        accepted=pool_checks(),
        summary=pool_summary(),
        ids=[path for _, path in id_files()],
    output:
        "<results>/pool/budgets.json",
    log:
        "<logs>/check_budgets.log",
    benchmark:
        "<costs>/check_budgets/all.jsonl"
    priority: 100
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        budgets=experiments.chosen_budgets(RUNS),
        limits=pool_limits(),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --summary {input.summary:q}"
        " --budgets {params.budgets:q} {params.limits} --out {output:q} 2> {log:q}"


rule tabulate_budgets:
    """Compute the share of the pool that each budget is: its ratio in all other tables."""
    input:
        code=code("tabulate_budgets.py"),
        samples="<results>/pool/samples.parquet",
        tokens=token_shards() if counts_tokens(config) else [],
    output:
        "<results>/tables/budgets.csv",
    log:
        "<logs>/tabulate_budgets.log",
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        budgets=experiments.distinct(RUNS, "budget"),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --tokens {input.tokens:q}"
        " --budgets {params.budgets:q} --out {output:q} 2> {log:q}"


if (config["constraints"]["duplicates"] or {}).get("model"):

    rule find_near_duplicates:
        """Find the pairs of samples whose features have a high cosine."""
        input:
            code=code("find_near_duplicates.py"),
            samples="<results>/pool/samples.parquet",
            features=duplicate_shards(),
        output:
            "<results>/duplicates.parquet",
        log:
            "<logs>/find_near_duplicates.log",
        benchmark:
            "<costs>/find_near_duplicates/all.jsonl"
        conda:
            "../envs/selection.yaml"
        threads: config["threads"]
        resources:
            mem_mb=growing(16000),
            runtime=growing(480),
            growth=2,
        params:
            cosine=config["constraints"]["duplicates"]["cosine"],
            n_probe=config["constraints"]["duplicates"]["n_probe"],
            memory_gb=config["constraints"]["duplicates"]["memory_gb"],
            threads=config["threads"],
        shell:
            "python {input.code[0]:q} --samples {input.samples:q} --features {input.features:q}"
            " --cosine {params.cosine} --n-probe {params.n_probe}"
            " --memory-gb {params.memory_gb} --threads {params.threads}"
            " --out {output:q} 2> {log:q}"


if unlimited_methods():
    PROBLEMS.append(
        f"constraints, gate, tokens: the rules of {', '.join(unlimited_methods())}"
        " do not pass them on (input and parameter `limits`, see docs/add_a_method.md)"
    )
