"""Tables: everything that the figures and a report need, as small CSV files.

Reads all stages from the pool to benchmarks/; writes tables/<table>.csv, but for cost.csv (costs.smk). The
columns are described in scripts/vlselect/tables/declarations.py and by each script's --help.
"""


rule tabulate_benchmarks:
    """Collect the scores of all runs on all tests."""
    input:
        code=code("tabulate_benchmarks.py"),
        scores=scores(benchmark_names()),
        budgets=budget_tables(),
    output:
        "<results>/tables/benchmark_scores.csv",
    log:
        "<logs>/tabulate_benchmarks.log",
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        benchmarks=folder_of("benchmarks"),
        runs=benchmark_names(),
        tasks=TESTED,
    shell:
        "python {input.code[0]:q} --benchmarks {params.benchmarks:q} --runs {params.runs:q}"
        " --budgets {input.budgets:q} --tasks {params.tasks:q} --out {output:q} 2> {log:q}"


rule tabulate_comparisons:
    """Compare the runs with the full pool and with random selection."""
    input:
        code=code("tabulate_comparisons.py"),
        table="<results>/tables/benchmark_scores.csv",
        scores=scores(benchmark_names(), "parquet"),
        budgets=budget_tables(),
    output:
        seeds="<results>/tables/relative_by_seed.csv",
        relative="<results>/tables/relative_performance.csv",
        comparison="<results>/tables/comparison_with_random.csv",
    log:
        "<logs>/tabulate_comparisons.log",
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        benchmarks=folder_of("benchmarks"),
        runs=benchmark_names(),
        groups=benchmark_groups(),
    shell:
        "python {input.code[0]:q} --scores {input.table:q} --benchmarks {params.benchmarks:q}"
        " --runs {params.runs:q} --budgets {input.budgets:q} --groups {params.groups:q} --out-seeds {output.seeds:q}"
        " --out-relative {output.relative:q} --out-comparison {output.comparison:q} 2> {log:q}"


rule tabulate_subsets:
    """Count the sources in each subset, and the samples that subsets share."""
    input:
        code=code("tabulate_subsets.py"),
        samples="<results>/pool/samples.parquet",
        subsets=subset_rows(METHODS),
        budgets=budget_tables(),
    output:
        composition="<results>/tables/subset_composition.csv",
        overlap="<results>/tables/subset_overlap.csv",
    log:
        "<logs>/tabulate_subsets.log",
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        subsets=folder_of("subsets"),
        runs=subset_names(METHODS),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --subsets {params.subsets:q}"
        " --runs {params.runs:q} --budgets {input.budgets:q} --out-composition {output.composition:q}"
        " --out-overlap {output.overlap:q} 2> {log:q}"


rule tabulate_scores:
    """Describe the distribution of scores in each source, and which of them are chosen."""
    input:
        code=code("tabulate_scores.py"),
        samples="<results>/pool/samples.parquet",
        scores=score_files(),
        subsets=subset_rows(scored_methods()),
        budgets=budget_tables(),
    output:
        "<results>/tables/score_distribution.csv",
    log:
        "<logs>/tabulate_scores.log",
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        scores=score_flags(),
        subsets=folder_of("subsets"),
        runs=run_flags(scored_methods()),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} {params.scores}"
        " --subsets {params.subsets:q} {params.runs} --budgets {input.budgets:q} --out {output:q} 2> {log:q}"


rule tabulate_votes:
    """Count votes, compute the tasks' agreement, list the samples with most and fewest votes."""
    input:
        code=code("tabulate_votes.py"),
        samples="<results>/pool/samples.parquet",
        votes=of_runs("icons", "<results>/votes/seed-{seed}.parquet"),
        influence=of_runs("icons", influence_paths(VOTERS)),
        subsets=subset_rows(["icons"]),
        budgets=budget_tables(),
    output:
        histogram="<results>/tables/votes_histogram.csv",
        agreement="<results>/tables/task_agreement.csv",
        extremes="<results>/tables/vote_extremes.csv",
    log:
        "<logs>/tabulate_votes.log",
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        subsets=folder_of("subsets"),
        runs=vote_flags(),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --images {params.images:q}"
        " --max-pixels {params.max_pixels} --subsets {params.subsets:q} {params.runs} --budgets {input.budgets:q}"
        " --out-histogram {output.histogram:q} --out-agreement {output.agreement:q}"
        " --out-extremes {output.extremes:q} 2> {log:q}"


rule tabulate_clusters:
    """Describe the clusters, and how much of each is chosen."""
    input:
        code=code("tabulate_clusters.py"),
        assignments=of_runs(
            "coincide", "<results>/clusters/seed-{seed}/assignments.parquet"
        ),
        summary=of_runs("coincide", "<results>/clusters/seed-{seed}/summary.parquet"),
        subsets=subset_rows(["coincide"]),
        budgets=budget_tables(),
    output:
        "<results>/tables/clusters.csv",
    log:
        "<logs>/tabulate_clusters.log",
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        temperature=lookup(
            dpath="methods/coincide/temperature", within=config, default=[]
        ),
        subsets=folder_of("subsets"),
        runs=cluster_flags(),
    shell:
        "python {input.code[0]:q} --temperature {params.temperature} --subsets {params.subsets:q}"
        " {params.runs} --budgets {input.budgets:q} --out {output:q} 2> {log:q}"
